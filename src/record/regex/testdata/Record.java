import java.nio.file.*;
import java.util.*;
import java.util.regex.*;

/** Reads patterns.txt and texts.txt, writes expect.txt: per pattern and case rule which texts match, or the error. */
public class Record {
    public static void main(String[] args) throws Exception {
        List<String> texts = Files.readAllLines(Path.of("texts.txt"));
        StringBuilder out = new StringBuilder();
        for (String pattern : Files.readAllLines(Path.of("patterns.txt"))) {
            for (int flags : new int[] {0, Pattern.CASE_INSENSITIVE}) {
                out.append(pattern).append('\t').append(flags == 0 ? "case" : "nocase").append('\t');
                try {
                    Pattern p = Pattern.compile(pattern, flags);
                    for (String text : texts) {
                        out.append(p.matcher(unescape(text)).matches() ? '1' : '0');
                    }
                } catch (PatternSyntaxException e) {
                    out.append("error ").append(e.getMessage().replace("\n", "\\n"));
                }
                out.append('\n');
            }
        }
        Files.writeString(Path.of("expect.txt"), out);
    }

    static String unescape(String text) {
        return text.replace("\\n", "\n").replace("\\r", "\r").replace("\\u2028", "\u2028").replace("\\t", "\t");
    }
}
