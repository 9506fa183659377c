//! Which model of a list is one of ours.

use serde_json::value::RawValue;

use super::{
    Entry, Format, PriceList,
    json::{Members, Value, open},
};
use crate::catalog::Model;

/// What a model of a list is called beside its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Names {
    /// Nothing else.
    None,
    /// What its provider calls it.
    Also(String),
    /// Whatever the list's rule says.
    Match(Rule),
}

/// What a list has of one of our models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'l> {
    /// Nothing.
    Nothing,
    /// One model, or several that say the same.
    One(&'l Entry),
    /// Several that do not say the same.
    Several(Vec<&'l Entry>),
}

impl PriceList {
    /// What the list has of a model. Lists of others are asked by what the provider calls it: of the provider that was named, else of the one that is
    /// called as ours is, else, where the list has no such provider, of any, as long as all of them say the same.
    #[must_use]
    pub fn find(&self, model: &Model, provider: Option<&str>) -> Found<'_> {
        let is_of = |entry: &Entry, name: &str| entry.provider.eq_ignore_ascii_case(name);
        if self.format == Format::Farebox {
            let of_this_name = self.entries.iter().find(|entry| entry.name == model.name && provider.is_none_or(|name| is_of(entry, name)));
            return of_this_name.map_or(Found::Nothing, Found::One);
        }
        let only = provider.or_else(|| self.entries.iter().any(|entry| is_of(entry, &model.provider)).then_some(&model.provider));
        let asked = self.entries.iter().filter(|entry| only.is_none_or(|name| is_of(entry, name)));
        let called = |entry: &&Entry| entry.is_named(&model.upstream_name);
        let mut found: Vec<&Entry> = Vec::new();
        // A model's own name goes before a rule that it happens to meet; of several rules of a provider the first counts.
        for entry in asked.clone().filter(called).chain(asked.filter(|entry| entry.is_met_by(&model.upstream_name))) {
            if !found.iter().any(|other| other.provider == entry.provider) {
                found.push(entry);
            }
        }
        match found.as_slice() {
            [] => Found::Nothing,
            [one] => Found::One(one),
            [first, rest @ ..] if rest.iter().all(|other| first.agrees_with(other)) => Found::One(first),
            _ => Found::Several(found),
        }
    }
}

impl Entry {
    fn is_named(&self, name: &str) -> bool {
        self.name == name || matches!(&self.names, Names::Also(other) if other == name)
    }

    fn is_met_by(&self, name: &str) -> bool {
        matches!(&self.names, Names::Match(rule) if rule.holds(&name.to_lowercase()))
    }

    fn agrees_with(&self, other: &Self) -> bool {
        matches!((&self.says, &other.says), (Ok(one), Ok(other)) if one.sides == other.sides)
    }
}

/// A rule of genai-prices on the name of a model, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// It is this.
    Equals(String),
    /// It begins so.
    StartsWith(String),
    /// It ends so.
    EndsWith(String),
    /// This is in it.
    Contains(String),
    /// One of them holds.
    Or(Vec<Rule>),
    /// All of them hold.
    And(Vec<Rule>),
    /// It is a regular expression, or not known: then only the model's own name is its name.
    Never,
}

impl Rule {
    pub(super) fn read(rule: &Members<'_>) -> Self {
        let mut members = rule.iter();
        let (Some((kind, raw)), None) = (members.next(), members.next()) else { return Self::Never };
        match (kind, open(raw)) {
            ("equals", Value::Text(text)) => Self::Equals(text.to_lowercase()),
            ("starts_with", Value::Text(text)) => Self::StartsWith(text.to_lowercase()),
            ("ends_with", Value::Text(text)) => Self::EndsWith(text.to_lowercase()),
            ("contains", Value::Text(text)) => Self::Contains(text.to_lowercase()),
            ("or", Value::List(rules)) => Self::Or(Self::all(&rules)),
            ("and", Value::List(rules)) => Self::And(Self::all(&rules)),
            _ => Self::Never,
        }
    }

    fn all(rules: &[&RawValue]) -> Vec<Self> {
        let read = |raw: &&RawValue| match open(raw) {
            Value::Members(rule) => Self::read(&rule),
            _ => Self::Never,
        };
        rules.iter().map(read).collect()
    }

    fn holds(&self, name: &str) -> bool {
        match self {
            Self::Equals(text) => name == text,
            Self::StartsWith(text) => name.starts_with(text),
            Self::EndsWith(text) => name.ends_with(text),
            Self::Contains(text) => name.contains(text),
            Self::Or(rules) => rules.iter().any(|rule| rule.holds(name)),
            Self::And(rules) => !rules.is_empty() && rules.iter().all(|rule| rule.holds(name)),
            Self::Never => false,
        }
    }
}
