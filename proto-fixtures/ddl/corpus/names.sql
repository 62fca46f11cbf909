create table `select` (`from` int, `where` varchar(3), `key` int primary key, `primary` int, `index` int, `check` int, `constraint` int, `unique` int)
;;
create table `we``ird` (`a b` int, `c``d` int not null, `e.f` int, `g"h` int, `i'j` int, `k,l` int, `m(n)` int, `-- x` int, `/* y */` int, primary key (`c``d`))
;;
create table `dot.ted` (id int)
;;
create table `😀` (`ключ` int primary key, `列` varchar(3), `ñandú` int)
;;
create table ünï (größe int, été int)
;;
create table $dollar (a$b int, $c int, _d int, 1e int, 2nd int)
;;
create table 123abc (1st int, 0x int, 5e int)
;;
create table date (date date, time time, timestamp timestamp null, year year, text text, bit bit, enum enum('a'), json json, point point, bool bool, comment int comment 'c', status int, type int, value int, name int, data int, user int, role int, position int, first int, after int, no int, action int, hash int, engine int, charset int, begin int, end int, truncate int, serial int, signed int, byte int, `binary` int, at int, partition_ int, temporary int, offset int, language int, level int, enforced int, visible int, invisible int, storage int, `virtual` int, `stored` int, `generated` int, password int, session int, global int, local int, action2 int, tables int, tablespace int, columns int, fields int, national int, unicode int, ascii int, auto_increment int, checksum int, partitions int, history int, nulls_ int, srid int)
;;
alter table date drop first, drop column after, add first2 int first, add after2 int after status
;;
alter table date rename column status to `after`, change type column_ int, modify value bigint after name
;;
alter table date alter comment set default 3, alter position drop default
;;
alter table date add column before_ int first, add column later int after before_
;;
create table index_ (key_ int, primary_ int, unique_ int, check_ int)
;;
create table `UPPER_case` (`CamelCase` int, `camelcase2` int, primary key (`camelcase`))
;;
alter table `UPPER_case` drop primary key, add primary key (CAMELCASE, CamelCase2)
;;
create table `a$b` like `select`
;;
create table event (event int)
;;
create table `trigger` (procedure_ int, `function` int)
;;
drop table `select`, `we``ird`, `😀`, `dot.ted`
;;
rename table `a$b` to `re``named`, ünï to `ü n ï`
;;
alter table `re``named` rename to `tick``tock`
;;
create table lead_space (` a` int)
;;
create table qualified_cols (a int, b int, unique (a), primary key (b))
;;
create index `i x` on qualified_cols (a)
;;
drop index `i x` on qualified_cols
;;
create table t_end (id int)
