//! What was measured, round by round, and how it compares.

/// Who was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    /// The upstream itself.
    Direct,
    Nginx,
    /// A gateway of the same libraries that meters nothing.
    Bare,
    /// Farebox with calls of one account.
    One,
    /// Farebox with calls of many accounts.
    Many,
}

impl Who {
    pub(crate) const ALL: [Self; 5] = [Self::Direct, Self::Nginx, Self::Bare, Self::One, Self::Many];

    /// Whether what it answers is metered.
    pub(crate) fn is_farebox(self) -> bool {
        matches!(self, Self::One | Self::Many)
    }
}

/// How Farebox is compared with nginx.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// By what it takes.
    Whole,
    /// By what it adds to what is taken without a gateway.
    Added,
    /// Nothing is like it.
    Alone,
}

/// One thing that is measured.
struct Row {
    what: &'static str,
    compared: Compared,
    /// What the ratio should be.
    target: &'static str,
    /// For each of [`Who::ALL`], a figure a round.
    rounds: [Vec<f64>; 5],
}

/// All of it.
#[derive(Default)]
pub(crate) struct Figures(Vec<Row>);

impl Figures {
    /// Adds a kind of figure. Returns its place.
    pub(crate) fn row(&mut self, what: &'static str, compared: Compared, target: &'static str) -> usize {
        self.0.push(Row { what, compared, target, rounds: Default::default() });
        self.0.len() - 1
    }

    /// Notes a round's figure.
    pub(crate) fn note(&mut self, row: usize, who: Who, figure: f64) {
        self.0[row].rounds[who as usize].push(figure);
    }

    /// Prints the ratios to nginx, then the figures themselves; each as its median, with the least and the most of all rounds.
    pub(crate) fn print(&self) {
        println!(
            "\n÷ nginx, round by round                     {:<26}{:<26}{:<26}target",
            "unmetered", "farebox, one account", "many accounts"
        );
        for row in self.0.iter().filter(|row| row.compared != Compared::Alone) {
            let of = |who| spread(&row.ratios(who), 2);
            println!("{:<44}{:<26}{:<26}{:<26}{}", row.what, of(Who::Bare), of(Who::One), of(Who::Many), row.target);
        }
        let heads = ["direct", "nginx", "unmetered", "farebox, one account", "many accounts"].map(|head| format!("{head:<26}"));
        println!("\n{:<44}{}", "in figures", heads.concat().trim_end());
        for row in self.0.iter().filter(|row| row.rounds.iter().any(|rounds| !rounds.is_empty())) {
            let cells: String = row.rounds.iter().map(|rounds| format!("{:<26}", spread(rounds, 1))).collect();
            println!("{:<44}{}", row.what, cells.trim_end());
            if row.compared == Compared::Added {
                let cells: String = Who::ALL.iter().map(|who| format!("{:<26}", spread(&row.added(*who), 1))).collect();
                println!("{:<44}{}", "  of which the gateway adds", cells.trim_end());
            }
        }
    }
}

impl Row {
    /// What a gateway adds, round by round.
    fn added(&self, who: Who) -> Vec<f64> {
        let direct = &self.rounds[Who::Direct as usize];
        let gateways = if who == Who::Direct { &[][..] } else { &self.rounds[who as usize] };
        gateways.iter().zip(direct).map(|(figure, direct)| figure - direct).collect()
    }

    /// A round's ratio, where there is one: what nginx adds may be too little to tell.
    fn ratios(&self, who: Who) -> Vec<f64> {
        let [direct, nginx, ..] = &self.rounds;
        let ratio = |(round, figure): (usize, &f64)| {
            let nothing = if self.compared == Compared::Added { *direct.get(round)? } else { 0.0 };
            let whole = nginx.get(round)? - nothing;
            (whole > 0.0).then(|| (figure - nothing) / whole)
        };
        self.rounds[who as usize].iter().enumerate().filter_map(ratio).collect()
    }
}

/// The median, and from where to where it goes.
fn spread(figures: &[f64], decimals: usize) -> String {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.as_slice() {
        [] => String::new(),
        [only] => format!("{only:.decimals$}"),
        [least, .., most] => format!("{:.decimals$} ({least:.decimals$}–{most:.decimals$})", sorted[sorted.len() / 2]),
    }
}
