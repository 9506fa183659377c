//! The steps of a walk. Whom a step means is a number that is taken modulo how many there are.

use crate::random::Random;

/// One step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// A call asks a proxy to begin.
    Begin { machine: usize, account: usize, key: usize, money: i64, tokens: i64, ahead: i64, recalls: bool, net: Net, dies: Dies },
    /// A running call ends, with so much.
    End { machine: usize, call: usize, came_to: CameTo, dies: Dies },
    /// A proxy posts the next settlements of its spool.
    Post { machine: usize, many: usize, net: Net },
    /// A proxy says again what it has no answer to.
    Again { machine: usize, account: usize, net: Net },
    /// A proxy gives back what is idle.
    Idle { machine: usize, account: usize, net: Net },
    /// A proxy announces the calls that have been running for long.
    Announce { machine: usize, net: Net },
    /// A proxy renews its epoch.
    Renew { machine: usize, net: Net },
    /// What the network kept back arrives.
    Arrive { which: usize },
    /// A proxy is killed.
    Kill { machine: usize },
    /// A proxy is started, and recovers from its spool.
    Start { machine: usize },
    /// A machine is lost with its spool.
    Lose { machine: usize },
    /// A proxy is suspended, or goes on.
    Suspend { machine: usize },
    /// A proxy is cut from the ledger, or no longer.
    Part { machine: usize },
    /// The successor of an epoch ends it, once all of it is posted.
    EndOwn { machine: usize },
    /// Somebody looks for epochs that are over for long, and ends them.
    Reap,
    /// Time passes.
    Time { seconds: i64 },
    /// The ledger's clock is set.
    SetClock { by: i64 },
    /// The customer pays in.
    PayIn { account: usize, grant: usize, amount: i64 },
    /// Everything comes to rest: then nothing is leased, and every call is what it came to.
    Rest,
}

/// What becomes of a question to the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Net {
    /// It is answered.
    Answered,
    /// It never arrives.
    AskLost,
    /// It is done, and the answer is lost.
    AnswerLost,
    /// It hangs somewhere, and may be done later, when nobody waits for it any more.
    Hangs,
}

/// At which step of what it does a process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dies {
    Not,
    /// After it has decided and before it has written to the spool.
    BeforeSpool,
    /// After it has written to the spool and before anybody else sees it.
    AfterSpool,
}

/// What a call comes to, compared with what it may take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum CameTo {
    Nothing,
    Less(i64),
    All,
    More(i64),
}

impl CameTo {
    pub(crate) fn of(self, most: i64) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Less(by) => (most - by).max(0),
            Self::All => most,
            Self::More(by) => most + by,
        }
    }
}

impl Op {
    /// A step. Most are about calls, and numbers are small, so that everything meets everything.
    pub(crate) fn any(random: &mut Random) -> Self {
        let (machine, account) = (random.below(60), random.below(60));
        match random.below(240) {
            0..72 => Self::Begin {
                machine,
                account,
                key: random.below(60),
                money: random.number(0, 7),
                tokens: random.number(0, 7),
                ahead: [0, 20, 40, 200][random.below(4)],
                recalls: random.below(2) == 0,
                net: Net::any(random),
                dies: Dies::any(random),
            },
            72..130 => Self::End { machine, call: random.below(60), came_to: CameTo::any(random), dies: Dies::any(random) },
            130..160 => Self::Post { machine, many: 1 + random.below(4), net: Net::any(random) },
            160..166 => Self::Again { machine, account, net: Net::any(random) },
            166..172 => Self::Idle { machine, account, net: Net::any(random) },
            172..178 => Self::Announce { machine, net: Net::any(random) },
            178..204 => Self::Renew { machine, net: Net::any(random) },
            204..208 => Self::Arrive { which: random.below(60) },
            208 => Self::Kill { machine },
            209..214 => Self::Start { machine },
            214 => {
                if random.below(4) == 0 {
                    Self::Lose { machine }
                } else {
                    Self::Reap
                }
            }
            215 => Self::Suspend { machine },
            216 => Self::Part { machine },
            217..220 => Self::EndOwn { machine },
            220..222 => Self::Reap,
            222..234 => Self::Time { seconds: if random.below(16) == 0 { random.number(20, 200) } else { random.number(1, 4) } },
            234 => Self::SetClock { by: random.number(-70, 70) },
            235..239 => Self::PayIn { account, grant: random.below(60), amount: random.number(1, 60) },
            _ => {
                if random.below(3) == 0 {
                    Self::Rest
                } else {
                    Self::Suspend { machine }
                }
            }
        }
    }
}

impl Net {
    fn any(random: &mut Random) -> Self {
        match random.below(16) {
            0 => Self::AskLost,
            1 => Self::AnswerLost,
            2 => Self::Hangs,
            _ => Self::Answered,
        }
    }
}

impl Dies {
    fn any(random: &mut Random) -> Self {
        match random.below(60) {
            0 => Self::BeforeSpool,
            1 => Self::AfterSpool,
            _ => Self::Not,
        }
    }
}

impl CameTo {
    fn any(random: &mut Random) -> Self {
        match random.below(10) {
            0 => Self::Nothing,
            1..5 => Self::Less(random.number(1, 4)),
            5..8 => Self::All,
            _ => Self::More(random.number(1, 6)),
        }
    }
}
