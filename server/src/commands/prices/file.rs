//! A price list on disk.

use std::{fs::File, io, io::Read, sync::Arc};

use clap::ValueEnum;
use domain::price_list::{Format, ListError, PriceList};

/// Much more than any list is.
const BYTES_MAX: u64 = 64 << 20;

/// A list that was named on the command line. It is read as the command line is: by whoever typed it, before root is given up.
#[derive(Clone)]
pub(super) struct ListFile {
    name: Arc<str>,
    text: Arc<str>,
}

impl ListFile {
    pub(super) fn open(name: &str) -> io::Result<Self> {
        let mut text = String::new();
        File::open(name)?.take(BYTES_MAX + 1).read_to_string(&mut text)?;
        if text.len() as u64 > BYTES_MAX {
            return Err(io::Error::other("it is larger than 64 MiB, which no price list is"));
        }
        Ok(Self { name: name.into(), text: text.into() })
    }

    pub(super) fn read(&self, format: ListFormat) -> anyhow::Result<PriceList> {
        PriceList::read(&self.text, format.into()).map_err(|error| {
            let hint = if error == ListError::UnknownFormat { ": say which with --format" } else { "" };
            anyhow::anyhow!("{} {error}{hint}", self.name)
        })
    }
}

impl std::fmt::Debug for ListFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// How a list is written.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum ListFormat {
    /// Whatever it looks like
    Auto,
    /// LiteLLM's model_prices_and_context_window.json
    #[value(name = "litellm")]
    LiteLlm,
    /// The api.json of models.dev
    #[value(name = "models.dev")]
    ModelsDev,
    /// The data.json of pydantic's genai-prices
    GenaiPrices,
    /// What `farebox prices export` prints
    Farebox,
}

impl From<ListFormat> for Option<Format> {
    fn from(format: ListFormat) -> Self {
        match format {
            ListFormat::Auto => None,
            ListFormat::LiteLlm => Some(Format::LiteLlm),
            ListFormat::ModelsDev => Some(Format::ModelsDev),
            ListFormat::GenaiPrices => Some(Format::GenaiPrices),
            ListFormat::Farebox => Some(Format::Farebox),
        }
    }
}
