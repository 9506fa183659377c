//! What must hold, and what is found that does not.

use std::collections::BTreeMap;

use domain::proof::{Fault, NAMED_MAX};

/// One thing that must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Claim {
    PriceIsSealed,
    CallIsSealed,
    CallIsItsReceipt,
    CallIsAtItsPrice,
    CallAddsUp,
    CallIsPaid,
    CallIsOnItsTerms,
    LineIsSealed,
    GraceBeginsOnceAMonth,
    PlanIsSealed,
    PeriodIsSealed,
    PlanIsPaid,
    PaymentIsSealed,
    PaymentIsPosted,
    PaymentIsCredited,
    CodeIsSealed,
    CodeIsPosted,
    CodeIsUsed,
    DocumentIsSealed,
    DocumentIsItsPosting,
    MoneyIsDocumented,
    DocumentsAreNumbered,
    CorrectionIsSealed,
    CorrectionAddsUp,
    LateIsItsReceipt,
    RepriceIsItsPrice,
    CallCostsSomething,
    PostingsAreChained,
    PostingBalances,
    UsageIsItsCalls,
    CorrectionIsPosted,
    MovementIsItsRequest,
    OpenHourIsItsCalls,
    HeadIsTheNewestPosting,
    BookIsItsEntries,
    GrantIsItsEntries,
    GrantIsItsSlices,
    LimitIsItsCalls,
    LimitIsItsSlices,
    NobodyIsBelowTheFloor,
    WalletLasts,
    CreditEnds,
    HoursAreTheirCalls,
    DaysAreTheirCalls,
    SettledIsPosted,
    RowsHaveAnAccount,
    RootHolds,
}

impl Claim {
    /// Every claim, in the order in which they are shown.
    pub(super) const ALL: [Self; 47] = [
        Self::PriceIsSealed,
        Self::CallIsSealed,
        Self::CallIsItsReceipt,
        Self::CallIsAtItsPrice,
        Self::CallAddsUp,
        Self::CallIsPaid,
        Self::CallIsOnItsTerms,
        Self::LineIsSealed,
        Self::GraceBeginsOnceAMonth,
        Self::PlanIsSealed,
        Self::PeriodIsSealed,
        Self::PlanIsPaid,
        Self::PaymentIsSealed,
        Self::PaymentIsPosted,
        Self::PaymentIsCredited,
        Self::CodeIsSealed,
        Self::CodeIsPosted,
        Self::CodeIsUsed,
        Self::DocumentIsSealed,
        Self::DocumentIsItsPosting,
        Self::MoneyIsDocumented,
        Self::DocumentsAreNumbered,
        Self::CorrectionIsSealed,
        Self::CorrectionAddsUp,
        Self::LateIsItsReceipt,
        Self::RepriceIsItsPrice,
        Self::CallCostsSomething,
        Self::PostingsAreChained,
        Self::PostingBalances,
        Self::UsageIsItsCalls,
        Self::CorrectionIsPosted,
        Self::MovementIsItsRequest,
        Self::OpenHourIsItsCalls,
        Self::HeadIsTheNewestPosting,
        Self::BookIsItsEntries,
        Self::GrantIsItsEntries,
        Self::GrantIsItsSlices,
        Self::LimitIsItsCalls,
        Self::LimitIsItsSlices,
        Self::NobodyIsBelowTheFloor,
        Self::WalletLasts,
        Self::CreditEnds,
        Self::HoursAreTheirCalls,
        Self::DaysAreTheirCalls,
        Self::SettledIsPosted,
        Self::RowsHaveAnAccount,
        Self::RootHolds,
    ];

    /// What must hold, in words.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::PriceIsSealed => "a price is the one that was written",
            Self::CallIsSealed => "a call's row is the one that was posted",
            Self::CallIsItsReceipt => {
                "a call's amount is its receipt recomputed, of strict terms at most what was held, or nothing where it took as many tokens of a grant"
            }
            Self::CallIsAtItsPrice => {
                "a call's price is the one of its model and service tier that was in force when the call was admitted"
            }
            Self::CallAddsUp => "a call's buckets add up to its totals, or it is flagged",
            Self::CallIsPaid => {
                "a call's shares sum to its amount, or to its tokens, of grants that are counted in these and pay for its model"
            }
            Self::CallIsOnItsTerms => "a call on lenient terms is of an account that had them",
            Self::LineIsSealed => "what is lent to an account is what was set",
            Self::GraceBeginsOnceAMonth => "a grace begins at most once in a calendar month",
            Self::PlanIsSealed => "a version of a plan is the one that was set",
            Self::PeriodIsSealed => "a plan's period is the one that was paid for",
            Self::PlanIsPaid => {
                "a plan's period has taken its fee and given its allowance, and an account's plan, with its limits, is that of its newest period"
            }
            Self::PaymentIsSealed => "a payment is the one that was begun, and what it moved is what was written",
            Self::PaymentIsPosted => {
                "what a payment moved has a posting of its kind that moves as much, and nothing else is posted for payments"
            }
            Self::PaymentIsCredited => {
                "a payment that is credited was credited once, with what was to be paid unless an operator decided otherwise, and no other was"
            }
            Self::CodeIsSealed => "a batch of codes is the one that was made, and what was redeemed is what was written",
            Self::CodeIsPosted => {
                "a code that was redeemed has a posting that gives what its batch says, and nothing else is posted for codes"
            }
            Self::CodeIsUsed => "a code was used as often as accounts have redeemed it, and no more often than it may be",
            Self::DocumentIsSealed => "a document is the one that was issued, and who sells is what was said",
            Self::DocumentIsItsPosting => {
                "a document is of the kind and the sum of its posting, with the tax that its rate makes of it, and its number is that of its kind, year and place"
            }
            Self::MoneyIsDocumented => {
                "what was paid in, sold and paid back has a document, as far as an account's postings have been looked through"
            }
            Self::DocumentsAreNumbered => "documents of a kind and a year are numbered without gaps, as the year counts them",
            Self::CorrectionIsSealed => "a correction's row is the one that was posted",
            Self::CorrectionAddsUp => {
                "a correction is the difference between its call and the settlement that came late, or what was given back"
            }
            Self::LateIsItsReceipt => {
                "a late settlement is of its call, and its amount is its receipt recomputed, of strict terms at most what was held"
            }
            Self::RepriceIsItsPrice => {
                "a call that was charged anew gave back what it had cost more than by a version of its model's price, and nothing else"
            }
            Self::CallCostsSomething => "no more of a call is given back than it costs",
            Self::PostingsAreChained => {
                "postings are numbered and dated one after the other, and each digest seals its posting and the one before"
            }
            Self::PostingBalances => {
                "the entries of a posting sum to zero in each unit, in the books of its kind, each with the balance after it"
            }
            Self::UsageIsItsCalls => "an hour's posting takes from each grant what its calls cost, and bears their number and their digest",
            Self::CorrectionIsPosted => "a correction has a posting of its kind that moves what it says, when and why",
            Self::MovementIsItsRequest => "money moved by hand is what was asked for, by whom and why",
            Self::OpenHourIsItsCalls => "what is not summed up yet is the calls of the open hour",
            Self::HeadIsTheNewestPosting => "an account's head is its newest posting",
            Self::BookIsItsEntries => "what is in a book is the sum of its entries",
            Self::GrantIsItsEntries => "what is in a grant is the sum of its entries, less the open hour",
            Self::GrantIsItsSlices => "what is leased of a grant is the sum of its slices",
            Self::LimitIsItsCalls => "what is used of a limit is what its calls used in that window",
            Self::LimitIsItsSlices => "what is leased of a limit is the sum of its slices",
            Self::NobodyIsBelowTheFloor => {
                "no grant is below its floor, or has more held of it than is there; lenient accounts may owe more, and those whose payments were taken back"
            }
            Self::WalletLasts => "a wallet is there from its account's first moment on",
            Self::CreditEnds => "what lapsed was of credit that had ended, and what was ended before its time says so in the journal",
            Self::HoursAreTheirCalls => "the sums per hour are those of its calls and their corrections",
            Self::DaysAreTheirCalls => "the sums per day are those of its calls and their corrections",
            Self::SettledIsPosted => "a settled call is in the books",
            Self::RowsHaveAnAccount => "nothing belongs to an account that does not exist",
            Self::RootHolds => "the books of a sealed day say what they said then",
        }
    }
}

/// What was found, claim by claim.
#[derive(Debug, Default)]
pub(crate) struct Findings(BTreeMap<Claim, Vec<Fault>>);

impl Findings {
    /// Notes a row that disagrees.
    pub(super) fn note(&mut self, claim: Claim, row: impl Into<String>, expected: impl ToString, found: impl ToString) {
        let faults = self.0.entry(claim).or_default();
        if faults.len() < NAMED_MAX {
            let (expected, found) = (expected.to_string(), found.to_string());
            faults.push(Fault { claim: claim.words().to_owned(), row: row.into(), expected, found });
        }
    }

    /// Notes a row whose value is another than it should be.
    pub(super) fn compare<T: PartialEq + ToString>(&mut self, claim: Claim, row: impl FnOnce() -> String, expected: T, found: T) {
        if expected != found {
            self.note(claim, row(), expected, found);
        }
    }

    /// Notes a row that its seal does not fit, as [`crate::encoding::fits`] says.
    pub(super) fn sealed(&mut self, claim: Claim, row: impl FnOnce() -> String, fits: Option<bool>) {
        match fits {
            Some(true) => {}
            Some(false) => self.note(claim, row(), "the row that was sealed", "another"),
            None => self.note(claim, row(), "a seal of this version or an older one", "one that cannot be read here"),
        }
    }

    /// Adds what was found elsewhere.
    pub(super) fn add(&mut self, other: Self) {
        for (claim, faults) in other.0 {
            let all = self.0.entry(claim).or_default();
            all.extend(faults);
            all.truncate(NAMED_MAX);
        }
    }

    pub(super) fn of(&self, claim: Claim) -> &[Fault] {
        self.0.get(&claim).map_or(&[], Vec::as_slice)
    }
}
