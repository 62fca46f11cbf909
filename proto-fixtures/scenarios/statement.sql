-- Statement format: the events that only statements have.
CREATE DATABASE fx; USE fx;
CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(40));
SET binlog_format = STATEMENT;
SET @text = 'user variable'; SET @nothing = NULL;
INSERT INTO t (v) VALUES (@text), (@nothing);
INSERT INTO t (v) VALUES (RAND());
INSERT INTO t (v) VALUES (LAST_INSERT_ID());
SET time_zone = '+05:30'; SET character_set_client = latin1;
UPDATE t SET v = NOW() WHERE id = 1;
SET binlog_format = ROW;
DROP TABLE t;
