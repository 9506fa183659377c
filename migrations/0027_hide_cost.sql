-- What some providers say in their answers of what a call cost is what the operator pays. Whether customers read it is a setting of the provider.

alter table providers add column hide_cost boolean not null default false;
