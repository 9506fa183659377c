//! Heads that do not end.

use super::{
    Attack, Target,
    wire::{head, send},
};

pub(super) const ATTACK: Attack = Attack {
    kind: "floods of headers",
    // A connection has 16 KiB of a head, and nothing is kept of what is read on after it was refused.
    memory_max: 64,
    load: flood,
};

fn flood(target: &Target<'_>) {
    let many: String = (0..10_000).map(|number| format!("X-Flood-{number}: {number}\r\n")).collect();
    let floods = [
        ("10,000 headers", head(target.rich, &many)),
        ("a header of 1 MiB", head(target.rich, &format!("X-Large: {}\r\n", "x".repeat(1024 * 1024)))),
        ("65 small headers", head(target.rich, &"X: 1\r\n".repeat(65))),
        ("a name of 1 MiB", head(target.rich, &format!("{}: 1\r\n", "x".repeat(1024 * 1024)))),
        ("a first line of 64 KiB", format!("GET /v1/models?{} HTTP/1.1\r\nHost: x\r\n\r\n", "x".repeat(64 * 1024))),
    ];
    for _ in 0..10 {
        for (flood, bytes) in &floods {
            send(target.url, bytes.as_bytes()).expect_refusal(&[431, 414], "", flood);
        }
    }
}
