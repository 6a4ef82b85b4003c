-- Reserved: another change brings the migration of this number.
select 1;
