-- XA transactions: prepared and committed, prepared and rolled back, in one phase.
CREATE DATABASE fx; USE fx;
CREATE TABLE t (id INT PRIMARY KEY, v INT);
XA START 'global','branch',7; INSERT INTO t VALUES (1, 1); XA END 'global','branch',7; XA PREPARE 'global','branch',7; XA COMMIT 'global','branch',7;
XA START 'one'; INSERT INTO t VALUES (2, 2); XA END 'one'; XA COMMIT 'one' ONE PHASE;
XA START 'undone'; INSERT INTO t VALUES (3, 3); XA END 'undone'; XA PREPARE 'undone'; XA ROLLBACK 'undone';
INSERT INTO t VALUES (4, 4);
