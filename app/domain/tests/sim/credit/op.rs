//! The steps of a walk. Each stands for itself: whom it means is a number that is taken modulo how many there are, so that a list of steps
//! still makes sense after some were dropped.

use domain::credit::{Unit, Window};

use crate::random::Random;

/// One step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Op {
    /// A call asks to begin.
    Ask { account: usize, key: usize, run: usize, model: usize, aim: Aim, money: i64, tokens: i64, requests: u32 },
    /// A running call ends.
    Settle { account: usize, call: usize, money: Part, tokens: Part, requests: Part },
    /// A running call ends as if it had never begun.
    Release { account: usize, call: usize },
    /// What a call ended with is told again.
    Replay { account: usize, call: usize },
    /// The customer pays in, or gets a credit.
    TopUp { account: usize, grant: usize, amount: i64 },
    /// An operator takes credit back, at most what is available.
    TakeBack { account: usize, grant: usize, amount: i64 },
    /// An account gets a grant.
    Grant {
        account: usize,
        kind: usize,
        unit: Unit,
        amount: i64,
        line: i64,
        models: usize,
        starts_in: i64,
        expires_in: Option<i64>,
        priority: i32,
    },
    /// An account gets a limit.
    Limit { account: usize, who: usize, window: Window, unit: Unit, hard: bool, capacity: i64 },
    /// An operator changes what a limit allows.
    Change { account: usize, limit: usize, capacity: i64 },
    /// A limit is taken away; what runs still settles on it.
    Drop { account: usize, limit: usize },
    /// What expired grants still have is booked as lost.
    Lapse { account: usize },
    /// The clock moves.
    Clock(Clock),
}

/// How much a call asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Aim {
    /// What the step says.
    AsSaid,
    /// All that there is of a unit, the rest as the step says.
    All(Unit),
    /// One more than that.
    OneMore(Unit),
}

/// What a call comes to, compared with its demand.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    Nothing,
    Less(i64),
    All,
    More(i64),
}

impl Part {
    pub(crate) fn of(self, demand: i64) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::Less(by) => (demand - by).max(0),
            Self::All => demand,
            Self::More(by) => demand + by,
        }
    }
}

/// How the clock moves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// By seconds, forward or a little backward.
    By(i64),
    /// To the next beginning of a window, or a second off it.
    To(Window, i64),
}

impl Op {
    /// A step. Most are about calls, and numbers are small, so that everything meets everything.
    pub(crate) fn any(random: &mut Random) -> Self {
        let account = random.below(64);
        match random.below(100) {
            0..44 => Self::ask(account, random),
            44..66 => {
                Self::Settle { account, call: random.below(64), money: random.part(), tokens: random.part(), requests: random.part() }
            }
            66..70 => Self::Release { account, call: random.below(64) },
            70..74 => Self::Replay { account, call: random.below(64) },
            74..79 => Self::TopUp { account, grant: random.below(64), amount: random.number(1, 20) },
            79..81 => Self::TakeBack { account, grant: random.below(64), amount: random.number(1, 20) },
            81..85 => Self::grant(account, random),
            85..89 => Self::limit(account, random),
            89..91 => Self::Change { account, limit: random.below(64), capacity: random.number(0, 40) },
            91..93 => Self::Drop { account, limit: random.below(64) },
            93..95 => Self::Lapse { account },
            _ => Self::Clock(random.clock()),
        }
    }

    fn ask(account: usize, random: &mut Random) -> Self {
        let aim = match random.below(8) {
            0..5 => Aim::AsSaid,
            5..7 => Aim::All(random.unit()),
            _ => Aim::OneMore(random.unit()),
        };
        Self::Ask {
            account,
            key: random.below(64),
            run: random.below(64),
            model: random.below(64),
            aim,
            money: random.number(0, 7),
            tokens: random.number(0, 7),
            requests: if random.below(8) == 0 { 2 } else { 1 },
        }
    }

    fn grant(account: usize, random: &mut Random) -> Self {
        Self::Grant {
            account,
            kind: random.below(64),
            unit: if random.below(5) < 3 { Unit::Money } else { Unit::Tokens },
            amount: random.number(0, 20),
            line: if random.below(6) == 0 { random.number(1, 6) } else { 0 },
            models: random.below(64),
            starts_in: if random.below(4) == 0 { random.number(-60, 90) } else { 0 },
            expires_in: (random.below(3) > 0).then(|| random.seconds()),
            priority: i32::from(random.below(3) == 0),
        }
    }

    fn limit(account: usize, random: &mut Random) -> Self {
        let unit = random.unit();
        Self::Limit {
            account,
            who: random.below(64),
            window: random.window(),
            unit,
            hard: random.below(4) > 0,
            capacity: if unit == Unit::Requests { random.number(1, 9) } else { random.number(2, 40) },
        }
    }
}

impl Random {
    fn unit(&mut self) -> Unit {
        Unit::ALL[self.below(3)]
    }

    fn window(&mut self) -> Window {
        Window::ALL[self.below(5)]
    }

    fn part(&mut self) -> Part {
        match self.below(10) {
            0 => Part::Nothing,
            1..5 => Part::Less(self.number(1, 4)),
            5..8 => Part::All,
            _ => Part::More(self.number(1, 6)),
        }
    }

    fn seconds(&mut self) -> i64 {
        match self.below(4) {
            0 | 1 => self.number(1, 90),
            2 => self.number(3_600, 90_000),
            _ => 86_400 * self.number(1, 40),
        }
    }

    fn clock(&mut self) -> Clock {
        match self.below(6) {
            0 | 1 => Clock::By(self.number(1, 45)),
            2 => Clock::By(self.seconds()),
            3 => Clock::By(-self.number(1, 75)),
            _ => Clock::To(self.window(), self.number(-1, 1)),
        }
    }
}
