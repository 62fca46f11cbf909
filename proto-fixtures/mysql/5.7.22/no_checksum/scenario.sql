-- Events without a checksum, and row events of version 1.
-- setup: SET GLOBAL binlog_checksum = NONE;
-- setup: SET GLOBAL log_bin_use_v1_row_events = 1;
-- teardown: SET GLOBAL log_bin_use_v1_row_events = 0;
-- teardown: SET GLOBAL binlog_checksum = CRC32;
CREATE DATABASE fx; USE fx;
CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(300), d DATETIME(3));
INSERT INTO t VALUES (1, 'a', '2020-01-02 03:04:05.678'), (2, NULL, NULL), (3, 'c', '2021-01-01');
UPDATE t SET v = 'b', d = NULL WHERE id = 1;
DELETE FROM t WHERE id = 2;
