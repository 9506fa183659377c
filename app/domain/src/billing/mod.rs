//! Credit and the books, as people see them.

mod adjustment;
mod balance;
mod grant;
mod journal;
mod kind;
mod number;
mod statement;

pub use adjustment::Adjustment;
pub use balance::Balance;
pub use grant::{Grant, GrantKind};
pub use journal::{JournalPage, JournalRow, StatementLine};
pub use kind::JournalKind;
pub use number::PostingNumber;
pub use statement::{MonthBalance, OpenHour, Statement};
