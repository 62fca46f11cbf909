-- Statements between rows: columns come, go and move while the table lives.
-- setup: /*!80001 SET GLOBAL binlog_row_metadata = FULL */;
-- teardown: /*!80001 SET GLOBAL binlog_row_metadata = DEFAULT */;
SET sql_mode = 'ANSI_QUOTES';
CREATE DATABASE fx CHARACTER SET latin1; USE fx;
CREATE TABLE t (id INT NOT NULL PRIMARY KEY, "a b" VARCHAR(10) NOT NULL DEFAULT 'x', c ENUM('p','q'), g GEOMETRY);
INSERT INTO t VALUES (1, 'one', 'p', NULL); DELETE FROM t;
ALTER TABLE t ADD COLUMN d DECIMAL(6,2) AFTER id, ADD COLUMN u INT UNSIGNED, DROP COLUMN c;
INSERT INTO t VALUES (2, 1.50, 'two', ST_GeomFromText('POINT(1 2)'), 4000000000); DELETE FROM t;
RENAME TABLE t TO r;
CREATE TABLE parts (id INT, k VARCHAR(100) CHARACTER SET utf8mb4, s SET('m','n') CHARACTER SET utf8mb4, y YEAR, f FLOAT UNSIGNED, d DOUBLE, b BLOB, j JSON, bt BIT(3), PRIMARY KEY (k(5), id));
INSERT INTO r VALUES (3, -1.5, 'three', NULL, 7);
INSERT INTO parts VALUES (1, 'é漢', 'm,n', 1999, 1.5, -2.5, x'01', '{"a":1}', b'101');
TRUNCATE TABLE r;
INSERT INTO r VALUES (4, 0, '', NULL, NULL); DELETE FROM r;
DROP TABLE r;
