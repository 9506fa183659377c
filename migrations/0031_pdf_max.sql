-- The most prompt tokens of one PDF that comes with a request, in its bytes or by its address; null where it may fill the model's window.

alter table models
    add column pdf_max bigint constraint models_pdf_max_is_a_count check (pdf_max >= 0);
