//! A relay between Farebox and its PostgreSQL that reads what passes: it counts the statements, and can lose a COMMIT or the answer to one.
//!
//! What it reads is the frontend/backend protocol 3.0. A statement is what one `Query`, or one `Execute` of what `Parse` and `Bind` have prepared, asks for.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

/// Nobody encrypts here: whoever asks for it is told no, and goes on in the clear.
const ASK_FOR_ENCRYPTION: [[u8; 4]; 2] = [80_877_103_i32.to_be_bytes(), 80_877_104_i32.to_be_bytes()];
const COMMIT: &str = "COMMIT";

/// What a statement is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// A transaction that puts calls into the books.
    Posting,
    /// A transaction that changes what is leased, and posts nothing.
    Leasing,
    Other,
}

impl Work {
    fn of(statements: &[String]) -> Self {
        let has = |text: &str| statements.iter().any(|statement| statement.contains(text));
        match () {
            () if has("insert into calls ") => Self::Posting,
            () if has("insert into slices ") || has("delete from slices ") || has("insert into leases ") => Self::Leasing,
            () => Self::Other,
        }
    }
}

/// How often each statement was asked, by what it was part of.
pub(crate) type Statements = BTreeMap<(Work, String), usize>;

/// What becomes of a COMMIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It never arrives: the connection breaks before.
    Undone,
    /// It is done, and the connection breaks before anybody hears of it.
    Unheard,
}

struct Loss {
    of: Option<Work>,
    /// So many others come first.
    after: usize,
    fate: Fate,
    then: Box<dyn FnOnce() + Send>,
}

#[derive(Default)]
struct Seen {
    statements: Statements,
    wanted: Option<Loss>,
    lost: Vec<Work>,
}

/// For as long as the tests run.
pub(crate) struct Relay {
    /// The database's address, by way of this.
    pub(crate) url: String,
    seen: Arc<Mutex<Seen>>,
}

impl Relay {
    /// To the database of this address.
    pub(crate) fn to(url: &str) -> Self {
        let (before, rest) = url.split_once('@').expect("an address");
        let (there, rest) = rest.split_once('/').expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let here = listener.local_addr().expect("its address");
        let seen = Arc::<Mutex<Seen>>::default();
        let (there, its) = (there.to_owned(), Arc::clone(&seen));
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (there, seen) = (there.clone(), Arc::clone(&its));
                thread::spawn(move || connect(client, &there, seen));
            }
        });
        Self { url: format!("{before}@{here}/{rest}"), seen }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("no connection has panicked")
    }

    /// Every statement so far.
    pub(crate) fn statements(&self) -> Statements {
        self.seen().statements.clone()
    }

    /// The COMMIT of such a transaction, once so many more of them have passed, meets this fate; `then` is called before its connection breaks.
    pub(crate) fn lose(&self, of: Option<Work>, after: usize, fate: Fate, then: impl FnOnce() + Send + 'static) {
        self.seen().wanted = Some(Loss { of, after, fate, then: Box::new(then) });
    }

    /// What was lost so far.
    pub(crate) fn lost(&self) -> Vec<Work> {
        self.seen().lost.clone()
    }
}

/// How often each was asked since then.
pub(crate) fn since(before: &Statements, now: Statements) -> Statements {
    let more = |(statement, times): ((Work, String), usize)| {
        let more = times - before.get(&statement).copied().unwrap_or_default();
        (more > 0).then_some((statement, more))
    };
    now.into_iter().filter_map(more).collect()
}

/// The loss that awaits a connection's running COMMIT.
type Awaiting = Arc<Mutex<Option<Loss>>>;

fn connect(client: TcpStream, there: &str, seen: Arc<Mutex<Seen>>) -> Option<()> {
    let server = TcpStream::connect(there).ok()?;
    // A message at a time, as it comes.
    client.set_nodelay(true).ok()?;
    server.set_nodelay(true).ok()?;
    let awaiting = Awaiting::default();
    let answers = {
        let (client, server, seen, awaiting) =
            (client.try_clone().ok()?, server.try_clone().ok()?, Arc::clone(&seen), Arc::clone(&awaiting));
        move || {
            let _ = relay_answers(&server, &client, &seen, &awaiting);
            let _ = put_back(&seen, &awaiting);
            cut(&client, &server);
        }
    };
    let answering = thread::spawn(answers);
    let _ = relay_statements(&client, &server, &seen, &awaiting);
    cut(&client, &server);
    answering.join().ok()
}

fn cut(client: &TcpStream, server: &TcpStream) {
    for end in [client, server] {
        let _ = end.shutdown(Shutdown::Both); // it may be gone already
    }
}

/// A message: its kind, and all that follows its length.
fn message(from: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut kind = [0];
    from.read_exact(&mut kind).ok()?;
    Some((kind[0], rest(from)?))
}

fn rest(from: &mut impl Read) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut body = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?.checked_sub(4)?];
    from.read_exact(&mut body).ok()?;
    Some(body)
}

fn pass_on(mut to: &TcpStream, kind: Option<u8>, body: &[u8]) -> Option<()> {
    let length = u32::try_from(body.len() + 4).ok()?.to_be_bytes();
    to.write_all(&[kind.as_slice(), &length, body].concat()).ok()
}

/// The text up to the next zero.
fn text<'a>(body: &mut impl Iterator<Item = &'a [u8]>) -> Option<String> {
    Some(String::from_utf8_lossy(body.next()?).into_owned())
}

fn relay_statements(client: &TcpStream, server: &TcpStream, seen: &Mutex<Seen>, awaiting: &Awaiting) -> Option<()> {
    let mut from = BufReader::new(client);
    loop {
        let opening = rest(&mut from)?;
        if !ASK_FOR_ENCRYPTION.contains(opening.first_chunk()?) {
            pass_on(server, None, &opening)?;
            break;
        }
        (&*client).write_all(b"N").ok()?;
    }
    let (mut prepared, mut bound) = (HashMap::new(), HashMap::<String, String>::new());
    let mut transaction: Option<Vec<String>> = None;
    loop {
        let (kind, body) = message(&mut from)?;
        let mut texts = body.split(|byte| *byte == 0);
        let statement = match kind {
            b'P' => {
                prepared.insert(text(&mut texts)?, text(&mut texts)?);
                None
            }
            b'B' => {
                bound.insert(text(&mut texts)?, prepared.get(&text(&mut texts)?)?.clone());
                None
            }
            b'E' => Some(bound.get(&text(&mut texts)?)?.clone()),
            b'Q' => text(&mut texts),
            _ => None,
        };
        let Some(statement) = statement.map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" ")) else {
            pass_on(server, Some(kind), &body)?;
            continue;
        };
        let is_commit = statement == COMMIT;
        let is_over = is_commit || statement == "ROLLBACK";
        if statement.starts_with("begin ") {
            transaction = Some(Vec::new());
        }
        let statements = match &mut transaction {
            Some(transaction) => {
                transaction.push(statement);
                if !is_over {
                    pass_on(server, Some(kind), &body)?;
                    continue;
                }
                transaction.split_off(0)
            }
            None => vec![statement],
        };
        transaction = None;
        let mut seen = seen.lock().ok()?;
        let work = Work::of(&statements);
        for statement in statements {
            *seen.statements.entry((work, statement)).or_default() += 1;
        }
        let loss = if is_commit { seen.next_loss(work) } else { None };
        match loss {
            Some(loss) if loss.fate == Fate::Undone => {
                (loss.then)();
                seen.lost.push(work);
                return Some(()); // whoever called this breaks the connection
            }
            loss => *awaiting.lock().ok()? = loss.map(|loss| Loss { of: Some(work), ..loss }),
        }
        drop(seen);
        pass_on(server, Some(kind), &body)?;
    }
}

impl Seen {
    fn next_loss(&mut self, work: Work) -> Option<Loss> {
        let mut loss = self.wanted.take_if(|loss| loss.of.is_none_or(|of| of == work))?;
        if loss.after == 0 {
            return Some(loss);
        }
        loss.after -= 1;
        self.wanted = Some(loss);
        None
    }
}

/// The COMMIT was not done: the next one meets its fate.
fn put_back(seen: &Mutex<Seen>, awaiting: &Awaiting) -> Option<()> {
    let loss = awaiting.lock().ok()?.take();
    if loss.is_some() {
        seen.lock().ok()?.wanted = loss;
    }
    Some(())
}

fn relay_answers(server: &TcpStream, client: &TcpStream, seen: &Mutex<Seen>, awaiting: &Awaiting) -> Option<()> {
    let mut from = BufReader::new(server);
    loop {
        let (kind, body) = message(&mut from)?;
        // `CommandComplete`, of that and no other; `ReadyForQuery` without it: the database has refused.
        let lost = match kind {
            b'C' if body == b"COMMIT\0" => awaiting.lock().ok()?.take(),
            b'Z' => {
                put_back(seen, awaiting)?;
                None
            }
            _ => None,
        };
        if let Some(loss) = lost {
            (loss.then)();
            seen.lock().ok()?.lost.extend(loss.of);
            return Some(());
        }
        pass_on(client, Some(kind), &body)?;
    }
}
