//! The models that something is for, such as a key or the allowance of a plan: every one where none is named.

use super::form::Field;

/// What the field is called in which they are typed.
pub(crate) const MODELS: &str = "models";
/// So many are named below the field for them; more would be no help, but a page.
const NAMED_MAX: usize = 20;
/// So many are named in a line of a list.
const LISTED_MAX: usize = 3;

/// Where they are typed; `known` are those that customers can call.
pub(crate) fn field(label: &str, chosen: Option<&[String]>, known: &[String]) -> Field {
    let known = match known.len() {
        0 => String::new(),
        1..=NAMED_MAX => format!(" There is {}.", known.join(", ")),
        _ => " Prices lists them all.".to_owned(),
    };
    Field::new("text", MODELS, label)
        .hint(format!("Names with commas between them; empty means every model.{known}"))
        .initial(chosen.unwrap_or_default().join(", "))
}

/// What was typed there: names with commas or lines between them, since a name may hold a blank.
#[cfg(feature = "ssr")]
pub(crate) fn typed(text: &str) -> Option<Vec<String>> {
    let names: Vec<_> = text.split([',', '\n']).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}

/// `Every model`, or their names.
pub(crate) fn in_words(models: Option<&[String]>) -> String {
    models.map_or_else(|| "Every model".to_owned(), |models| models.join(", "))
}

/// `Only` and the names of the first of them, and how many more there are; nothing where it is every one.
pub(crate) fn in_a_line(models: Option<&[String]>) -> Option<String> {
    let models = models?;
    let (named, more) = (&models[..models.len().min(LISTED_MAX)], models.len().saturating_sub(LISTED_MAX));
    let names = named.join(", ");
    Some(if more == 0 { format!("Only {names}") } else { format!("Only {names} and {more} more") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_typed_with_commas_or_lines_between_them_and_none_is_every_one() {
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!((typed(""), typed(" , \n")), (None, None));
        assert_eq!(typed("a/b, c\nd  e ,"), names(&["a/b", "c", "d  e"]));
        assert_eq!(in_words(None), "Every model");
        for (models, line) in
            [(&["a"][..], "Only a"), (&["a", "b", "c"], "Only a, b, c"), (&["a", "b", "c", "d", "e"], "Only a, b, c and 2 more")]
        {
            assert_eq!(in_a_line(names(models).as_deref()).as_deref(), Some(line));
        }
        assert_eq!(in_a_line(None), None);
    }
}
