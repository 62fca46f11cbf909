USE compat;
INSERT INTO `odd name` VALUES (3,'c',3,3,3),(4,'d',4,4,4),(5,'e',5,5,5),(6,'f',6,6,6);
UPDATE `odd name` SET `1st`=10, `dash-ed`=11, `dot.ted`=12;
DELETE FROM `odd name` WHERE `a b`<3;
INSERT INTO `UPPER` VALUES (2,2),(3,3);
UPDATE `UPPER` SET `Mixed`=`Mixed`+1;
DELETE FROM `UPPER`;
TRUNCATE TABLE `odd name`;
INSERT INTO `odd name` VALUES (7,'g',7,7,7);
