//! What `add` and `edit` both take.

use clap::{Args, ValueEnum, builder::PossibleValue};
use domain::catalog::{Api, TimeOuts};

/// How long a provider may take.
#[derive(Debug, Args)]
#[command(next_help_heading = "Time-outs, such as 500ms, 30s or 10m")]
#[group(skip)]
pub(super) struct TimeOutArgs {
    /// For connecting, with its name looked up and TLS agreed on, up to 10m; what takes longer is sent to the model's next provider [proxy's own: 10s]
    #[arg(long, env = "FAREBOX_PROVIDER_CONNECT_TIMEOUT", value_name = "TIME", value_parser = parse_millis)]
    pub(super) connect_timeout: Option<i64>,

    /// To the first byte of an answer, connecting included, up to 10m; what takes longer may be billed, and is sent to nobody else [proxy's own: 10m]
    #[arg(long, env = "FAREBOX_PROVIDER_FIRST_BYTE_TIMEOUT", value_name = "TIME", value_parser = parse_millis)]
    pub(super) first_byte_timeout: Option<i64>,

    /// From one piece of an answer to the next, up to 30m [proxy's own: 10m]
    #[arg(long, env = "FAREBOX_PROVIDER_IDLE_TIMEOUT", value_name = "TIME", value_parser = parse_millis)]
    pub(super) idle_timeout: Option<i64>,
}

impl From<TimeOutArgs> for TimeOuts {
    fn from(args: TimeOutArgs) -> Self {
        Self { connect_ms: args.connect_timeout, first_byte_ms: args.first_byte_timeout, idle_ms: args.idle_timeout }
    }
}

/// An API that a provider speaks, or every one, which is what a provider is taken for that nothing is said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spoken(Option<Api>);

impl Spoken {
    const EACH: [Self; Api::ALL.len() + 1] = {
        let mut each = [Self(None); Api::ALL.len() + 1];
        let mut place = 0;
        while place < Api::ALL.len() {
            each[place + 1] = Self(Some(Api::ALL[place]));
            place += 1;
        }
        each
    };
}

impl ValueEnum for Spoken {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::EACH
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self.0 {
            Some(api) => PossibleValue::new(api.name()),
            None => PossibleValue::new("all").help("Every one, which is what a provider is taken for that nothing is said of"),
        })
    }
}

/// These, none of them twice; nothing where it is every one.
pub(super) fn apis(spoken: &[Spoken]) -> Vec<Api> {
    let mut apis = spoken.iter().map(|spoken| spoken.0).collect::<Option<Vec<_>>>().unwrap_or_default();
    apis.sort_unstable();
    apis.dedup();
    apis
}

/// A time as people type it, in milliseconds. That it is not too long the ledger says.
fn parse_millis(text: &str) -> Result<i64, String> {
    const WRONG: &str = "write a time like 500ms, 30s or 10m";
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let millis_each = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(WRONG.to_owned()),
    };
    let count: u32 = digits.parse().map_err(|_| WRONG.to_owned())?;
    Ok(i64::from(count) * millis_each)
}

/// The same, as people read it.
pub(super) fn in_words(millis: i64) -> String {
    match millis {
        minutes if minutes % 60_000 == 0 => format!("{}m", minutes / 60_000),
        seconds if seconds % 1_000 == 0 => format!("{}s", seconds / 1_000),
        millis => format!("{millis}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_it_is_written() {
        for (text, millis) in [("500ms", 500), ("30s", 30_000), ("10m", 600_000), ("1m", 60_000), ("1500ms", 1_500)] {
            assert_eq!((parse_millis(text), in_words(millis)), (Ok(millis), text.to_owned()));
        }
        for wrong in ["", "10", "s", "-1s", "1.5s", "1h", "1 s", "99999999999s"] {
            assert!(parse_millis(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whoever_speaks_all_is_not_asked_for_the_rest() {
        let spoken = |name: &str| Spoken::from_str(name, false);
        assert_eq!(
            ["messages", "chat", "chat"].map(spoken).into_iter().collect::<Result<Vec<_>, _>>().map(|spoken| apis(&spoken)),
            Ok(vec![Api::Chat, Api::Messages])
        );
        assert_eq!(["chat", "all"].map(spoken).into_iter().collect::<Result<Vec<_>, _>>().map(|spoken| apis(&spoken)), Ok(vec![]));
    }
}
