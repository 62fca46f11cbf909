USE compat;
INSERT INTO people VALUES ('c','Cid',2,2,'5111 é','Bonn','😀😀😀😀😀😀','xyz','x',2.5,'q');
UPDATE people SET card=NULL, note=NULL, name='' WHERE id='c';
UPDATE people SET id='d' WHERE id='c';
UPDATE people SET card='' , city='', note='12345' WHERE id='a';
DELETE FROM people WHERE id='b';
INSERT INTO people VALUES ('e','Eve',3,3,'ключ','Köln','1234😀5','012345','abc',NULL,NULL);
INSERT INTO people VALUES ('k1','Name 1',1,1,'7919','C1','x','y','1',1.25,'r'),('k2','Name 2',2,2,'15838','C2','xx','yy','2',2.25,'r'),('k3','Name 3',3,3,'23757','C3','xxx','yyy','3',3.25,'r'),('k4','Name 4',4,4,'31676','C4','xxxx','yyyy','4',4.25,'r'),('k5','Name 5',5,5,'39595','C5','xxxxx','yyyyy','5',5.25,'r'),('k6','Name 6',6,6,'47514','C6','xxxxxx','yyyyyy','6',6.25,'r'),('k7','Name 7',7,7,'55433','C7','xxxxxxx','yyyyyyy','7',7.25,'r'),('k8','Name 8',8,8,'63352','C8','xxxxxxxx','yyyyyyyy','8',8.25,'r'),('k9','Name 9',9,9,'71271','C9','xxxxxxxxx','yyyyyyyyy','9',9.25,'r'),('k10','Name 10',10,10,'79190','C10','xxxxxxxxxx','yyyyyyyyyy','10',10.25,'r');
UPDATE people SET n=n+1, n2=NULL WHERE id LIKE 'k%';
