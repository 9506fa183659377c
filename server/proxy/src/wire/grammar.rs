//! Where an answer says what: a table of paths, made into a tree that a [`Scanner`](super::scan::Scanner) walks along.

use super::report::Count;

/// What a value means by where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Mark {
    /// Nothing of interest.
    #[default]
    Nothing,
    /// A list or an object: whatever is in it, the document is an answer or a part of one.
    Answer,
    /// Anything but `null` and an empty text says something.
    Said,
    /// What only opens an answer, such as the role of who speaks.
    Opening,
    /// A text that the model wrote.
    Text,
    /// Sound, or pictures: output, though not text.
    Media,
    /// The model that answered.
    Model,
    /// The tier that it was served at.
    Tier,
    /// What kind of event it is.
    Kind,
    /// Why the answer ended, if it did.
    Finish,
    /// `null`, or what went wrong.
    Failure,
    /// An object that reports usage.
    Report(Scope),
    /// A number in such a report.
    Count(Count),
    /// The model that a report of its own is about.
    ReportModel,
}

/// What a report of usage is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The whole answer so far.
    Answer,
    /// The same, at a place that counts only where no other says anything: inside a choice, in a provider's own object.
    Aside,
    /// One of several passes over the model, of which the answer's own report may leave some out. It stands inside another report.
    Pass,
}

/// A row: members are parted by points, `*` is any member or item, and `**` at the end is everything below.
pub(crate) type Row = (&'static str, Mark);

/// The rows of a kind of answer.
#[derive(Debug)]
pub(crate) struct Table {
    /// Where what stands.
    pub(crate) rows: &'static [Row],
    /// What stands in each of its reports. Of several names for one count, the first that is there is taken.
    pub(crate) counts: &'static [(&'static str, Count)],
    /// The kinds of events that are the last of a stream.
    pub(crate) last_kinds: &'static [&'static str],
}

/// A place in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u16);

impl Place {
    /// Where no row leads.
    pub(super) const NOWHERE: Self = Self(u16::MAX);
    /// The document itself.
    pub(super) const ROOT: Self = Self(0);
    /// A list of documents.
    pub(super) const LIST: Self = Self(u16::MAX - 1);
}

/// The tree.
#[derive(Debug)]
pub(crate) struct Grammar {
    nodes: Vec<Node>,
    last_kinds: &'static [&'static str],
}

#[derive(Debug, Default)]
struct Node {
    mark: Mark,
    /// Of a count: how many names go before this one.
    rank: u8,
    members: Vec<(&'static str, Place)>,
    /// Whatever has no row of its own.
    any: Option<Place>,
    /// What is below means the same.
    is_deep: bool,
}

impl Grammar {
    /// The tree of a table.
    #[must_use]
    pub(crate) fn new(table: &Table) -> Self {
        let mut grammar = Self { nodes: vec![Node::default()], last_kinds: table.last_kinds };
        for (path, mark) in table.rows {
            let at = grammar.add(Place::ROOT, path, *mark, 0);
            if matches!(mark, Mark::Report(_)) {
                for (rank, (path, count)) in (0..=u8::MAX).zip(table.counts) {
                    grammar.add(at, path, Mark::Count(*count), rank);
                }
            }
        }
        grammar.inherit();
        grammar
    }

    fn add(&mut self, from: Place, path: &'static str, mark: Mark, rank: u8) -> Place {
        let mut at = from;
        for step in path.split('.') {
            if step == "**" {
                self.nodes[usize::from(at.0)].is_deep = true;
            } else {
                at = self.step(at, step);
            }
        }
        let node = &mut self.nodes[usize::from(at.0)];
        (node.mark, node.rank) = (mark, rank);
        at
    }

    fn step(&mut self, at: Place, name: &'static str) -> Place {
        let next = Place(u16::try_from(self.nodes.len()).unwrap_or(u16::MAX));
        let node = &mut self.nodes[usize::from(at.0)];
        let known = if name == "*" { node.any } else { node.members.iter().find(|(known, _)| *known == name).map(|(_, place)| *place) };
        if let Some(known) = known {
            return known;
        }
        if name == "*" {
            node.any = Some(next);
        } else {
            node.members.push((name, next));
        }
        self.nodes.push(Node::default());
        next
    }

    /// What has a row only for something below it means what any other member means.
    fn inherit(&mut self) {
        for index in 0..self.nodes.len() {
            let Some(any) = self.nodes[index].any else { continue };
            let mark = self.nodes[usize::from(any.0)].mark;
            for (_, member) in self.nodes[index].members.clone() {
                let member = &mut self.nodes[usize::from(member.0)];
                if member.mark == Mark::Nothing {
                    member.mark = mark;
                }
            }
        }
    }

    fn node(&self, at: Place) -> Option<&Node> {
        self.nodes.get(usize::from(at.0))
    }

    /// What a value at this place means.
    pub(super) fn mark(&self, at: Place) -> Mark {
        self.node(at).map_or(Mark::Nothing, |node| node.mark)
    }

    /// How many names of the same count go before that of this place.
    pub(super) fn rank(&self, at: Place) -> u8 {
        self.node(at).map_or(0, |node| node.rank)
    }

    /// The place of an object's member.
    pub(super) fn member(&self, at: Place, name: &[u8]) -> Place {
        let Some(node) = self.node(at) else { return Place::NOWHERE };
        if node.is_deep {
            return at;
        }
        let own = node.members.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, place)| *place);
        own.or(node.any).unwrap_or(Place::NOWHERE)
    }

    /// The place of a list's items.
    pub(super) fn item(&self, at: Place) -> Place {
        if at == Place::LIST {
            return Place::ROOT;
        }
        let Some(node) = self.node(at) else { return Place::NOWHERE };
        if node.is_deep { at } else { node.any.unwrap_or(Place::NOWHERE) }
    }

    /// Whether an event of this kind is the last of its stream.
    pub(super) fn is_last(&self, kind: &[u8]) -> bool {
        self.last_kinds.iter().any(|last| last.as_bytes() == kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: Table = Table {
        rows: &[
            ("choices.*.delta.*", Mark::Said),
            ("choices.*.delta.content", Mark::Text),
            ("choices.*.delta.tool.name", Mark::Text),
            ("usage", Mark::Report(Scope::Answer)),
            ("input.**", Mark::Text),
        ],
        counts: &[("prompt", Count::Input), ("details.cached", Count::CacheRead), ("cached", Count::CacheRead)],
        last_kinds: &["stop"],
    };

    fn at(path: &str) -> (Mark, u8) {
        let grammar = Grammar::new(&TABLE);
        let place = path.split('.').fold(Place::ROOT, |at, step| match step {
            "[]" => grammar.item(at),
            name => grammar.member(at, name.as_bytes()),
        });
        (grammar.mark(place), grammar.rank(place))
    }

    #[test]
    fn a_path_leads_to_what_its_row_says() {
        for (path, mark) in [
            ("choices.[].delta.content", Mark::Text),
            ("choices.[].delta.other", Mark::Said),
            ("choices.[].delta.tool", Mark::Said),
            ("choices.[].delta.tool.name", Mark::Text),
            ("choices.[].delta.other.deeper", Mark::Nothing),
            ("choices.content", Mark::Nothing),
            ("usage", Mark::Report(Scope::Answer)),
            ("input.a.[].b", Mark::Text),
            ("nothing", Mark::Nothing),
        ] {
            assert_eq!(at(path).0, mark, "{path}");
        }
    }

    #[test]
    fn the_first_of_several_names_goes_before() {
        assert_eq!(at("usage.details.cached"), (Mark::Count(Count::CacheRead), 1));
        assert_eq!(at("usage.cached"), (Mark::Count(Count::CacheRead), 2));
    }
}
