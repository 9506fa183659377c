use domain::plan::{Plan, PlanHolder, PlanVersion};
use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Plans {
    /// What is sold, the cheapest first, plans before packages, each with how many accounts have it.
    pub(crate) plans: Vec<(Plan, u64)>,
}

/// Everything on the page of one plan or package, or of a new one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct OnePlan {
    /// Its versions, newest first; none of a new one.
    pub(crate) versions: Vec<PlanVersion>,
    /// Who has it, by name.
    pub(crate) holders: Vec<PlanHolder>,
    /// Whether more have it than are listed.
    pub(crate) more: bool,
    /// Every model's name, which the form offers.
    pub(crate) models: Vec<String>,
    /// The form, as far as it was filled in.
    pub(crate) form: Form,
    /// What was asked for, before it is written.
    pub(crate) review: Option<Review>,
    /// The version that was just written.
    pub(crate) done: Option<i64>,
}

/// What would become of what was typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Review {
    /// It would be sold.
    Sell(Plan),
    /// It is sold already.
    Nothing,
}
