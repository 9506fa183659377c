//! Reads a prompt where it stands in a request: what of it is text, and what of it must be judged by something else than its bytes.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{
    Prompt, Unmeterable,
    parts::{Inline, Part, Parts, Pdf, is_called_otherwise, kind_of},
};
use crate::wire::json::{Member, Members, text_of};

/// More texts in one request are refused: OpenAI takes 2,048.
const TEXTS_MAX: usize = 2_048;
/// Lists in lists in a prompt.
const DEPTH_MAX: usize = 16;

/// Reads a prompt in one member.
pub(super) struct Reader<'p> {
    pub(super) prompt: &'p mut Prompt,
    pub(super) parts: &'static Parts,
    /// The member's name, for whoever is told.
    pub(super) name: &'p str,
}

impl Reader<'_> {
    fn wrong(&self, problem: &str) -> Unmeterable {
        Unmeterable(format!("\"{}\" {problem}", self.name))
    }

    pub(super) fn items(mut self, value: &Member<'_>) -> Result<(), Unmeterable> {
        if let Some(text) = text_of(value.value) {
            self.prompt.messages += 1;
            self.prompt.text(&text);
            return Ok(());
        }
        let items: Option<Vec<&RawValue>> = value.read();
        let items = items.filter(|items| !items.is_empty());
        for item in items.ok_or_else(|| self.wrong("must be a list with at least one message"))? {
            let item = self.members(item)?;
            self.prompt.messages += 1;
            match item.get("type").and_then(|kind| text_of(kind.value)) {
                Some(kind) => self.part(&kind, &item, 0)?,
                None => self.message(&item)?,
            }
        }
        Ok(())
    }

    fn message(&mut self, message: &Members<'_>) -> Result<(), Unmeterable> {
        // What has neither is named by its id alone.
        let is_elsewhere = message.get("role").is_none() && message.get("content").is_none();
        self.prompt.points_outside |= is_elsewhere || self.parts.outside.iter().any(|name| message.get(name).is_some());
        self.nested(message, "content", 0)
    }

    /// All members are text, and one of them is a text or a list of parts.
    fn nested(&mut self, members: &Members<'_>, name: &str, depth: usize) -> Result<(), Unmeterable> {
        for member in members.iter().filter(|member| !member.is_null() && member.name != name && !matches!(&*member.name, "role" | "type"))
        {
            self.prompt.text(member.value.get());
        }
        members.get(name).map_or(Ok(()), |content| self.content(content, depth))
    }

    pub(super) fn content(&mut self, content: &Member<'_>, depth: usize) -> Result<(), Unmeterable> {
        if let Some(text) = text_of(content.value) {
            self.prompt.text(&text);
            return Ok(());
        }
        if depth > DEPTH_MAX {
            return Err(self.wrong("holds lists in lists in lists"));
        }
        // One part, or a list of them.
        let parts: Vec<&RawValue> = match content.read() {
            Some(parts) => parts,
            None if content.value.get().starts_with('{') => vec![content.value],
            None => return Err(self.wrong("must hold text or a list of parts as the content of a message")),
        };
        for part in parts {
            // Texts without more around them, which some servers take.
            if let Some(text) = text_of(part) {
                self.prompt.text(&text);
                continue;
            }
            let part = self.members(part)?;
            let kind = part.get("type").and_then(|kind| text_of(kind.value)).unwrap_or_default();
            self.part(&kind, &part, depth + 1)?;
        }
        Ok(())
    }

    fn part(&mut self, kind: &str, part: &Members<'_>, depth: usize) -> Result<(), Unmeterable> {
        self.known_part(kind_of(self.parts.kinds, kind), part, depth)
    }

    fn known_part(&mut self, known: Option<Part>, part: &Members<'_>, depth: usize) -> Result<(), Unmeterable> {
        match known {
            None => self.prompt.points_outside = true,
            Some(Part::Sealed(name)) if part.get(name).is_none() => self.prompt.points_outside = true,
            Some(Part::Text | Part::Sealed(_)) => {
                for member in part.iter().filter(|member| member.name != "type") {
                    match text_of(member.value) {
                        Some(text) => self.prompt.text(&text),
                        None => self.prompt.text(member.value.get()),
                    }
                }
            }
            Some(Part::Nested(name)) => self.nested(part, name, depth)?,
            Some(Part::Picture(places)) => {
                self.prompt.pictures += 1;
                match self.first_at(part, places)? {
                    Some((text, inline)) if inline.is(&text) => self.prompt.picture_bytes += text.len(),
                    // Some servers take films and documents there, too.
                    Some((text, _)) => self.prompt.points_outside |= text.starts_with("data:"),
                    None => self.prompt.points_outside = true,
                }
            }
            Some(Part::Sound(places)) => {
                self.prompt.sounds += 1;
                self.prompt.points_outside |= !self.first_at(part, places)?.is_some_and(|(text, inline)| inline.is(&text));
            }
            Some(Part::File { at, name, reference }) => self.file(part, at, (name, reference))?,
            Some(Part::Within(name, kinds)) => self.within(part, name, kinds, depth)?,
            Some(Part::Citable(cited)) => {
                self.prompt.points_outside |= part.get("citations").is_some_and(|citations| !is_off(citations));
                self.known_part(Some(*cited), part, depth)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, part: &Members<'_>, places: &[(&str, Pdf)], (name, reference): (Option<&str>, &str)) -> Result<(), Unmeterable> {
        if self.at(part, reference)?.is_some() {
            return Err(self.wrong("names a file that cannot be metered: send the file itself, its text, or an image of it"));
        }
        let media_type = self.at(part, "media_type")?;
        let mut pdfs = 0;
        for (place, shows) in places {
            let Some(text) = self.at(part, place)? else { continue };
            if shows.is(&text, media_type.as_deref()) {
                pdfs += 1;
                self.prompt.pdf_bytes += text.len();
            } else {
                self.prompt.points_outside = true;
            }
        }
        self.prompt.pdfs += pdfs;
        let name = name.map_or(Ok(None), |name| self.at(part, name))?;
        self.prompt.points_outside |= pdfs == 0 || name.is_some_and(|name| is_called_otherwise(&name));
        Ok(())
    }

    /// What stands beside it is text.
    fn within(&mut self, part: &Members<'_>, name: &str, kinds: &[(&str, Part)], depth: usize) -> Result<(), Unmeterable> {
        for member in part.iter().filter(|member| member.name != name && member.name != "type") {
            self.prompt.text(member.value.get());
        }
        let Some(inner) = part.get(name).filter(|inner| inner.value.get().starts_with('{')) else {
            self.prompt.points_outside = true;
            return Ok(());
        };
        let inner = self.members(inner.value)?;
        let kind = inner.get("type").and_then(|kind| text_of(kind.value)).unwrap_or_default();
        self.known_part(kind_of(kinds, &kind), &inner, depth)
    }

    /// The text at the first of these places where there is one.
    fn first_at(&self, part: &Members<'_>, places: &[(&str, Inline)]) -> Result<Option<(String, Inline)>, Unmeterable> {
        for (path, inline) in places {
            if let Some(text) = self.at(part, path)? {
                return Ok(Some((text, *inline)));
            }
        }
        Ok(None)
    }

    /// The text at this place.
    fn at(&self, part: &Members<'_>, path: &str) -> Result<Option<String>, Unmeterable> {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        let Some(member) = part.get(name) else { return Ok(None) };
        match rest {
            Some(rest) if member.value.get().starts_with('{') => self.at(&self.members(member.value)?, rest),
            Some(_) => Ok(None),
            None => Ok(text_of(member.value).map(Cow::into_owned)),
        }
    }

    pub(super) fn texts(self, value: &Member<'_>) -> Result<(), Unmeterable> {
        if let Some(text) = text_of(value.value) {
            self.prompt.texts = 1;
            self.prompt.text(&text);
            return Ok(());
        }
        let what = "must be a text, a list of texts, a list of tokens or a list of lists of tokens";
        let items: Vec<&RawValue> = value.read().ok_or_else(|| self.wrong(what))?;
        if items.is_empty() {
            return Err(self.wrong("is empty"));
        }
        // Numbers beside each other are one prompt.
        if items.iter().all(|item| is_number(item)) {
            (self.prompt.texts, self.prompt.numbers) = (1, items.len());
            return Ok(());
        }
        if items.len() > TEXTS_MAX {
            return Err(self.wrong(&format!("holds more than {TEXTS_MAX} texts")));
        }
        self.prompt.texts = items.len();
        for item in items {
            if let Some(text) = text_of(item) {
                self.prompt.text(&text);
            } else {
                let numbers: Vec<&RawValue> = serde_json::from_str(item.get()).map_err(|_| self.wrong(what))?;
                if !numbers.iter().all(|number| is_number(number)) {
                    return Err(self.wrong(what));
                }
                self.prompt.numbers += numbers.len();
            }
        }
        Ok(())
    }

    fn members<'a>(&self, json: &'a RawValue) -> Result<Members<'a>, Unmeterable> {
        let members = Members::parse(json.get()).map_err(|error| Unmeterable(format!("in \"{}\": {error}", self.name)))?;
        match members.misspelled(NAMES.into_iter()) {
            Some(known) => Err(Unmeterable(format!("in \"{}\": write the name \"{known}\" exactly so", self.name))),
            None => Ok(members),
        }
    }
}

/// Whether it is asked for in vain: `null`, or an object that says nothing but `"enabled": false`.
fn is_off(citations: &Member<'_>) -> bool {
    citations.is_null() || citations.value.get().split_ascii_whitespace().collect::<String>() == r#"{"enabled":false}"#
}

/// Every name in a prompt that its size is judged by.
const NAMES: [&str; 23] = [
    "audio",
    "citations",
    "content",
    "data",
    "file",
    "file_data",
    "file_id",
    "file_url",
    "filename",
    "function_call",
    "image_url",
    "input_audio",
    "media_type",
    "name",
    "output",
    "reasoning_content",
    "refusal",
    "role",
    "source",
    "text",
    "tool_calls",
    "type",
    "url",
];

fn is_number(value: &RawValue) -> bool {
    value.get().bytes().all(|byte| byte.is_ascii_digit())
}
