//! Secrets that a command asks for. They are never arguments: other users can read those.

use std::io::{self, IsTerminal};

use anyhow::{Context, ensure};

use crate::cli::SecretText;

/// Reads a secret from the variable of this name; without one from the terminal, unseen, or from the first line of stdin where that is none.
pub(super) fn read(variable: Option<&str>, prompt: &str) -> anyhow::Result<SecretText> {
    let text = match variable {
        Some(variable) => {
            let text = std::env::var(variable).with_context(|| format!("environment variable {variable}"))?;
            ensure!(!text.trim().is_empty(), "environment variable {variable} is empty");
            text
        }
        None if io::stdin().is_terminal() => rpassword::prompt_password(format!("{prompt}: "))?,
        None => {
            let mut line = String::new();
            io::stdin().read_line(&mut line)?;
            line
        }
    };
    Ok(SecretText::new(&text))
}
