//! What is particular to each API that clients speak.

pub mod openai_chat;
