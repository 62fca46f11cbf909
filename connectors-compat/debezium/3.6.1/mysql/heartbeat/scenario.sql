USE compat;
INSERT INTO rows_table VALUES (4,4),(5,5),(6,6),(7,7),(8,8),(9,9),(10,10),(11,11);
UPDATE rows_table SET v=v+1;
DELETE FROM rows_table WHERE id<3;
