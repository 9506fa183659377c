//! Forms. Each is a plain POST to the address of its own page and works the same with and without JavaScript: the server answers with a
//! redirect when it is done, or with the page again, what was typed still in its fields and what is wrong said at its place.

use std::{borrow::Cow, collections::BTreeMap};

use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// The name of the hidden field that makes a form act once.
pub(crate) const ONCE: &str = "once";

/// A form as it stands on a page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Form {
    /// A UUIDv7 made when the form was rendered. However often the form is sent, it acts once.
    pub(crate) once: String,
    /// What was typed, by field; secrets are never among it.
    pub(crate) typed: BTreeMap<String, String>,
    /// What is wrong with it.
    pub(crate) problem: Option<Problem>,
}

/// What is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Problem {
    /// The field at fault; empty when it is the form as a whole.
    pub(crate) field: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

#[cfg(feature = "ssr")]
impl Problem {
    /// A problem of one field, or of the whole form when `field` is empty.
    pub(crate) fn new(field: &str, message: impl Into<String>) -> Self {
        Self { field: field.to_owned(), message: message.into() }
    }
}

impl Form {
    /// What was typed into a field, if the form comes back.
    pub(crate) fn typed(&self, field: &str) -> Option<&str> {
        self.typed.get(field).map(String::as_str)
    }

    /// What is wrong with a field.
    pub(crate) fn problem_at(&self, field: &str) -> Option<&str> {
        self.problem.as_ref().filter(|problem| problem.field == field).map(|problem| problem.message.as_str())
    }

    /// The hidden field that makes it act once.
    pub(crate) fn once_field(&self) -> AnyView {
        view! { <input type="hidden" name=ONCE value=self.once.clone()/> }.into_any()
    }

    /// What is wrong with it as a whole, announced.
    pub(crate) fn problem_view(&self) -> AnyView {
        self.problem_at("").map(|message| notice(Tone::Bad, message.to_owned())).into_any()
    }
}

/// One labelled field.
#[derive(Clone)]
pub(crate) struct Field {
    name: Cow<'static, str>,
    label: String,
    kind: &'static str,
    hint: Option<String>,
    initial: String,
    required: bool,
    autocomplete: Option<&'static str>,
    inputmode: Option<&'static str>,
    min: Option<String>,
    known: Option<Vec<String>>,
}

impl Field {
    /// A field of this `<input type>`.
    pub(crate) fn new(kind: &'static str, name: impl Into<Cow<'static, str>>, label: impl Into<String>) -> Self {
        let inputmode = None;
        Self {
            name: name.into(),
            label: label.into(),
            kind,
            hint: None,
            initial: String::new(),
            required: false,
            autocomplete: Some("off"),
            inputmode,
            min: None,
            known: None,
        }
    }

    /// An amount of money or a rate: text, because `<input type=number>` hides what it does not understand.
    pub(crate) fn amount(name: impl Into<Cow<'static, str>>, label: impl Into<String>) -> Self {
        Self { inputmode: Some("decimal"), ..Self::new("text", name, label) }
    }

    /// A field of a filter: it offers what is known and takes anything. Nothing in a filter has to be filled in, so that it does not say so.
    pub(crate) fn filter(name: &'static str, label: impl Into<String>, known: Vec<String>) -> Self {
        // Firefox offers nothing where `autocomplete` is off.
        Self { known: Some(known), autocomplete: None, ..Self::new("text", name, label) }
    }

    /// Says what belongs into it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// What it holds at first.
    pub(crate) fn initial(self, initial: impl Into<String>) -> Self {
        Self { initial: initial.into(), ..self }
    }

    /// It may not stay empty.
    pub(crate) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// What browsers may fill in.
    pub(crate) fn autocomplete(self, autocomplete: &'static str) -> Self {
        Self { autocomplete: Some(autocomplete), ..self }
    }

    /// Which keys a phone offers.
    pub(crate) fn inputmode(self, inputmode: &'static str) -> Self {
        Self { inputmode: Some(inputmode), ..self }
    }

    /// The least value of a date.
    pub(crate) fn min(self, min: impl Into<String>) -> Self {
        Self { min: Some(min.into()), ..self }
    }

    /// The field with its label, its hint and what is wrong with it.
    pub(crate) fn view(self, form: &Form) -> AnyView {
        let id = format!("field-{}", self.name);
        let problem = form.problem_at(&self.name).map(str::to_owned);
        let value = form.typed(&self.name).map_or(self.initial, str::to_owned);
        let hint_id = format!("{id}-hint");
        let problem_id = format!("{id}-problem");
        let described: Vec<_> =
            [self.hint.as_ref().map(|_| hint_id.clone()), problem.as_ref().map(|_| problem_id.clone())].into_iter().flatten().collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        let optional = (!self.required && self.known.is_none()).then(|| view! { <span class="optional">"optional"</span> });
        let known = self.known.filter(|known| !known.is_empty()).map(|known| (format!("{id}-known"), known));
        let list = known.as_ref().map(|(list, _)| list.clone());
        let is_wrong = problem.is_some();
        view! {
            <div class="field">
                <label for=id.clone()>{self.label}{optional}</label>
                <input
                    id=id type=self.kind name=self.name value=value required=self.required autocomplete=self.autocomplete list=list
                    inputmode=self.inputmode min=self.min aria-invalid=is_wrong.then_some("true") aria-describedby=described autofocus=is_wrong
                />
                {known.map(|(list, known)| offer(list, known))}
                {self.hint.map(|hint| view! { <p class="hint" id=hint_id>{hint}</p> })}
                {problem.map(|problem| view! { <p class="problem" id=problem_id role="alert">{problem}</p> })}
            </div>
        }
        .into_any()
    }
}

/// What a field offers while somebody types.
fn offer(id: String, known: Vec<String>) -> AnyView {
    let options = known.into_iter().map(|value| view! { <option value=value></option> }).collect_view();
    view! { <datalist id=id>{options}</datalist> }.into_any()
}

/// How a notice is meant.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It worked.
    Good,
    /// It did not.
    Bad,
    /// It is so.
    Plain,
}

/// A sentence that answers what was just done. The words say how it is meant; the colour only repeats it.
pub(crate) fn notice(tone: Tone, message: impl Into<String>) -> AnyView {
    notice_of(tone, message.into().into_any())
}

/// The same of words with names among them.
pub(crate) fn notice_of(tone: Tone, message: AnyView) -> AnyView {
    let (class, role) = match tone {
        Tone::Good => ("notice notice-good", "status"),
        Tone::Bad => ("notice notice-bad", "alert"),
        Tone::Plain => ("notice", "note"),
    };
    view! { <p class=class role=role>{message}</p> }.into_any()
}

/// A labelled choice among `(value, name)` pairs; `chosen` unless the form comes back with another. What is chosen is always among them: a
/// choice that is in force, though none that is offered, must not look like no choice.
pub(crate) fn choice(form: &Form, name: &'static str, label: &'static str, options: Vec<(String, String)>, chosen: &str) -> AnyView {
    let id = format!("field-{name}");
    let problem_id = format!("{id}-problem");
    let problem = form.problem_at(name).map(str::to_owned);
    let chosen = form.typed(name).unwrap_or(chosen);
    let unlisted = Some(chosen).filter(|chosen| !chosen.is_empty() && options.iter().all(|(value, _)| value != chosen));
    let options = options
        .into_iter()
        .chain(unlisted.map(|chosen| (chosen.to_owned(), chosen.to_owned())))
        .map(|(value, text)| {
            let selected = value == chosen;
            view! { <option value=value selected=selected>{text}</option> }
        })
        .collect_view();
    let is_wrong = problem.is_some();
    let described = is_wrong.then(|| problem_id.clone());
    view! {
        <div class="field">
            <label for=id.clone()>{label}</label>
            <select id=id name=name aria-invalid=is_wrong.then_some("true") aria-describedby=described autofocus=is_wrong>{options}</select>
            {problem.map(|problem| view! { <p class="problem" id=problem_id role="alert">{problem}</p> })}
        </div>
    }
    .into_any()
}

/// A hidden field.
pub(crate) fn hidden(name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> AnyView {
    view! { <input type="hidden" name=name.into() value=value.into()/> }.into_any()
}

#[cfg(test)]
#[cfg(feature = "ssr")]
mod tests {
    use super::*;

    fn html(view: impl FnOnce() -> AnyView) -> String {
        Owner::new().with(|| view().to_html())
    }

    #[test]
    fn what_is_wrong_has_the_focus_and_nothing_else() {
        let form = Form { problem: Some(Problem::new("amount", "This is not a number.")), ..Form::default() };
        assert!(html(|| Field::amount("amount", "Amount").view(&form)).contains("autofocus"));
        assert!(!html(|| Field::amount("reason", "Reason").view(&form)).contains("autofocus"));
    }

    #[test]
    fn a_field_of_a_filter_offers_what_is_known_and_takes_anything() {
        let html = |known: &[&str]| {
            let known = known.iter().map(|known| (*known).to_owned()).collect();
            html(|| Field::filter("user", "End user", known).initial("user-9").view(&Form::default()))
        };
        let some = html(&["user-1", "a \"b\""]);
        assert!(some.contains(r#"list="field-user-known""#) && some.contains(r#"<datalist id="field-user-known""#), "{some}");
        assert!(some.contains(r#"value="user-1""#) && some.contains("a &quot;b&quot;") && some.contains(r#"value="user-9""#), "{some}");
        assert!(!some.contains("optional") && !some.contains("autocomplete"), "{some}");
        let none = html(&[]);
        assert!(!none.contains("list=") && !none.contains("<datalist"), "{none}");
    }

    #[test]
    fn a_choice_in_force_that_is_not_offered_is_still_the_one_that_shows() {
        let options = || vec![(String::new(), "Every model".to_owned()), ("a".to_owned(), "a".to_owned())];
        let html = |chosen: &str| html(|| choice(&Form::default(), "model", "Model", options(), chosen));
        assert!(html("gone").contains(r#"<option value="gone" selected"#), "{}", html("gone"));
        assert_eq!((html("a").matches("<option").count(), html("").matches("<option").count()), (2, 2));
    }
}
