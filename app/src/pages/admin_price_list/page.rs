use serde::{Deserialize, Serialize};

use crate::parts::form::Form;

/// Everything on the page.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ListPage {
    /// The form that takes a list.
    pub(crate) form: Form,
    /// The list that was just sent, beside what is in force.
    pub(crate) review: Option<ListReview>,
    /// How many prices were just published.
    pub(crate) published: Option<u32>,
}

/// A list beside what is in force. It is in words, so that the browser's half needs to know nothing of lists.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct ListReview {
    /// What list it is, and the sums.
    pub(crate) summary: String,
    /// Every rate that is to be another.
    pub(crate) rates: Vec<ReviewedRate>,
    /// What is refused, and why.
    pub(crate) refused: Vec<(String, String)>,
    /// What else there is to know of single models.
    pub(crate) notes: Vec<(String, String)>,
    /// What is the same, or only in one of the two: a line each.
    pub(crate) others: Vec<String>,
    /// What is published, for the form that does it.
    pub(crate) changes: Changes,
}

/// A rate that is to be another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ReviewedRate {
    /// Whose.
    pub(crate) model: String,
    /// Which side.
    pub(crate) side: String,
    /// What it is for.
    pub(crate) of: String,
    /// What it is now, if it is anything.
    pub(crate) was: String,
    /// What it will be.
    pub(crate) is: String,
    /// From when on.
    pub(crate) from: String,
}

/// What is posted to publish what was looked at.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Changes {
    /// How many prices.
    pub(crate) count: u32,
    /// The prices, as JSON.
    pub(crate) json: String,
    /// Which prices were there when they were worked out.
    pub(crate) seen: String,
}
