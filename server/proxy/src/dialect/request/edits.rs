//! The few changes that metering makes to a request.

use domain::{
    catalog::{Model, UsageMode},
    tokens::Tokens,
};

use super::{Request, StreamOptions};
use crate::{
    dialect::Caps,
    upstream::refused::{Added, AddedCap},
    wire::splice::Edit,
};

impl Request {
    /// The changes that make it a request to this model's upstream, whose every answer is capped, if there is a cap.
    #[must_use]
    pub(crate) fn edits(&self, model: &Model, mode: UsageMode, cap: Option<Tokens>) -> Vec<Edit> {
        let mut edits = Vec::new();
        if model.upstream_name != self.model {
            edits.push(Edit::replace(self.model_place.clone(), serde_json::Value::from(model.upstream_name.as_str()).to_string()));
        }
        if self.forces_usage(mode) {
            edits.extend(self.force_usage());
        }
        if let (Some(cap), Some(field)) = (cap, self.cap_field(model)) {
            self.cap_output(field, cap, &mut edits);
        }
        edits
    }

    /// What these changes put into it that its client had not sent.
    #[must_use]
    pub(crate) fn added(&self, model: &Model, mode: UsageMode, cap: Option<Tokens>) -> Added {
        let cap = cap.filter(|_| self.output_cap().is_none()).zip(self.cap_field(model));
        Added { stream_options: self.forces_usage(mode), cap: cap.map(|(tokens, field)| AddedCap { field, tokens }) }
    }

    fn cap_field(&self, model: &Model) -> Option<&'static str> {
        match self.dialect.request.caps {
            Caps::None => None,
            Caps::Optional(name, _) | Caps::Required(name) => Some(name),
            Caps::ByModel => Some(model.output_cap_field.name()),
        }
    }

    fn force_usage(&self) -> Option<Edit> {
        Some(match &self.options {
            StreamOptions::Unneeded => return None,
            StreamOptions::Absent => Edit::insert(self.first_member, r#""stream_options":{"include_usage":true},"#),
            StreamOptions::Null(place) => Edit::replace(place.clone(), r#"{"include_usage":true}"#),
            StreamOptions::Silent { first_member, is_empty: true } => Edit::insert(*first_member, r#""include_usage":true"#),
            StreamOptions::Silent { first_member, is_empty: false } => Edit::insert(*first_member, r#""include_usage":true,"#),
            StreamOptions::Usage { place, .. } => Edit::replace(place.clone(), "true"),
        })
    }

    /// The cap must stand under the name that the upstream reads, else it is no cap. A client may know it by its other name, or give both: then only one is
    /// sent, since OpenAI refuses two.
    fn cap_output(&self, field: &'static str, cap: Tokens, edits: &mut Vec<Edit>) {
        let own = self.caps.iter().find(|cap| cap.field == field);
        let other = self.caps.iter().find(|cap| cap.field != field && cap.tokens.is_some());
        let kept = own.or(other);
        match kept {
            Some(kept) => {
                if kept.field != field {
                    edits.push(Edit::replace(kept.name.clone(), format!("\"{field}\"")));
                }
                if kept.tokens != Some(cap.get()) {
                    edits.push(Edit::replace(kept.value.clone(), cap.to_string()));
                }
            }
            None => edits.push(Edit::insert(self.first_member, format!("\"{field}\":{cap},"))),
        }
        if let Some(other) = other.filter(|other| own.is_some_and(|own| own.field != other.field)) {
            edits.push(Edit::replace(other.whole.clone(), ""));
        }
    }
}
