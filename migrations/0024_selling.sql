-- What is paid by bank transfer is a payment like any other: an operator who finds it on the bank's statement credits it, by what the bank calls it.

alter table payments drop constraint payments_provider_is_known;
alter table payments add constraint payments_provider_is_known check (provider in ('stripe', 'bank'));
-- Nobody is asked for a transfer: it is written down when it is credited, with what the bank calls it, in the same transaction.
alter table payments add constraint payments_by_bank_have_a_reference check (provider <> 'bank' or (session is not null and method is null));
