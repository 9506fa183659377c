//! Guessed keys, 2,000 a second: those that cannot be keys, and those that could.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use domain::key::ApiKey;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    Attack, Target, is_long,
    wire::{connect, head},
};
use crate::relay::since;

pub(super) const ATTACK: Attack = Attack {
    kind: "guessed keys",
    // What is remembered of a key that there is none.
    memory_max: 64,
    load: guess_keys,
};

/// A second.
const KEYS: u32 = 2_000;
/// Who guesses them, each on a connection of its own.
const GUESSERS: u32 = 64;
const LASTS: Duration = Duration::from_secs(2);
/// So many statements a second look up keys at most, however many are guessed.
const STATEMENTS: u64 = 100;

/// Guesses one, and expects that it is told that it is none. The connection stays.
fn guess(stream: &mut BufReader<TcpStream>, key: &str) {
    let body = r#"{"model":"small","messages":[{"role":"user","content":"10 5 1"}]}"#;
    let bytes = [&head(key, &format!("Content-Length: {}\r\n", body.len())), body].concat();
    stream.get_mut().write_all(bytes.as_bytes()).expect("it is read");
    let mut answer = String::new();
    while stream.read_line(&mut answer).expect("it is answered") > 0 && !answer.ends_with("\r\n\r\n") {}
    let length = answer.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).expect("its length");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("all of it");
    assert!(answer.starts_with("HTTP/1.1 401 ") && !answer.contains("connection: close"), "{answer}");
    assert!(answer.contains("x-request-id: ") && String::from_utf8_lossy(&body).contains(r#""code":"invalid_api_key""#), "{answer}");
}

fn guess_keys(target: &Target<'_>) {
    let (statements, begun, guessed) = (target.relay.statements(), Instant::now(), AtomicUsize::new(0));
    let lasts = if is_long() { super::LONG } else { LASTS };
    thread::scope(|scope| {
        for guesser in 0..GUESSERS {
            let guessed = &guessed;
            scope.spawn(move || {
                let mut random = StdRng::seed_from_u64(u64::from(guesser) ^ u64::from(begun.elapsed().subsec_nanos()) << 8);
                let mut stream = BufReader::new(connect(target.url));
                let (every, mut next) = (Duration::from_secs(1) * GUESSERS / KEYS, begun);
                while begun.elapsed() < lasts {
                    let key = ApiKey::from_random(random.random()).expose().to_owned();
                    let (cannot_be, half) = (format!("{}0000", &key[..key.len() - 4]), guessed.fetch_add(1, Ordering::SeqCst) % 2);
                    guess(&mut stream, [&key, &cannot_be][half]);
                    next += every;
                    while let Some(left) = next.checked_duration_since(Instant::now()) {
                        thread::park_timeout(left);
                    }
                }
            });
        }
    });
    let took = begun.elapsed();
    let asked = since(&statements, target.relay.statements());
    let looked_up: usize = asked.iter().filter(|((_, text), _)| text.contains("key_digests")).map(|(_, times)| times).sum();
    let guessed = guessed.into_inner();
    println!("keys: {guessed} were guessed in {took:?}, and {looked_up} statements looked for them");
    assert!(looked_up > 0, "the statement is known by another name");
    let most = STATEMENTS * (took.as_secs() + 1);
    assert!(u64::try_from(looked_up).is_ok_and(|looked_up| looked_up <= most), "{looked_up} statements are more than {most}");
}
