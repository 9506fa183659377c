//! What every page knows of its visitor and its gateway. It travels with the page, so that browser and server draw the same frame.

use domain::account::{Person, Role};
use serde::{Deserialize, Serialize};

/// The operators' first page.
pub(crate) const TODAY: &str = "/admin";

/// One request's visitor.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Visit {
    /// Who is signed in.
    pub person: Option<Person>,
    /// It could not be found out who is: neither signed in nor signed out.
    pub is_unknown: bool,
    /// Their choice of colours.
    pub theme: Theme,
    /// Whether this gateway is a demonstration, which every page says.
    pub demo: bool,
    /// Whether strangers may open an account.
    pub signup_open: bool,
    /// Whether the page answers a form: what it shows, a key made once or what was typed, could not be had by asking for it again.
    pub answers_form: bool,
}

impl Visit {
    /// What they may do in the account they act for.
    #[must_use]
    pub fn role(&self) -> Option<Role> {
        self.person.as_ref().and_then(|person| person.account.as_ref()).map(|membership| membership.role)
    }

    /// Where this visitor belongs: their usage, the day of the gateway that they run, or the prices anyone may see.
    #[must_use]
    pub fn home(&self) -> &'static str {
        match &self.person {
            Some(person) if person.account.is_some() => "/usage",
            Some(person) if person.is_operator => TODAY,
            _ => "/pricing",
        }
    }
}

/// A choice of colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Theme {
    /// As the system has it.
    #[default]
    System,
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// Every choice, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::System, Self::Light, Self::Dark];

    /// Its name in the cookie, in the form and in `data-theme`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// Its name on a page.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::System => "System",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }

    /// The choice of this name; what is no choice is the system's.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.name() == name).unwrap_or_default()
    }
}
