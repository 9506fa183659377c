//! Small pure views that pages are made of.

pub(crate) mod again;
pub(crate) mod chart;
pub(crate) mod confirm;
pub(crate) mod copy;
pub(crate) mod credit;
pub(crate) mod credit_line;
pub(crate) mod figures;
pub(crate) mod filter;
#[cfg_attr(not(feature = "ssr"), expect(dead_code, reason = "pages that the server draws use the rest"))]
pub(crate) mod form;
pub(crate) mod frame;
#[cfg(feature = "ssr")]
pub(crate) mod journal;
pub(crate) mod layout;
pub(crate) mod limit;
pub(crate) mod models;
pub(crate) mod money;
pub(crate) mod page;
pub(crate) mod pager;
#[cfg_attr(not(feature = "ssr"), expect(dead_code, reason = "pages that the server draws use the rest"))]
pub(crate) mod plan;
#[cfg_attr(not(feature = "ssr"), expect(dead_code, reason = "pages that the server draws use the rest"))]
pub(crate) mod rates;
pub(crate) mod search;
pub(crate) mod table;
pub(crate) mod tabs;
pub(crate) mod time;
pub(crate) mod travel;
pub(crate) mod whose;
