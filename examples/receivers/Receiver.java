import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * A receiver of vigil's webhooks: it verifies, answers at once, does each thing once, and orders by `at`.
 *
 * <pre>WEBHOOK_SECRETS="whsec_..." PORT=8080 java Receiver.java</pre>
 */
public class Receiver {
    static final String[] KEYS = System.getenv("WEBHOOK_SECRETS").split(" "); // several while one is being replaced
    static final int MAX_BODY = 2 << 20, TOLERANCE = 300, REMEMBER = 100_000;
    static final byte[] SPKI = HexFormat.of().parseHex("302a300506032b6570032100"); // before a raw ed25519 key in DER

    record Hook(String id, byte[] body) {}

    static final BlockingQueue<Hook> WORK = new ArrayBlockingQueue<>(1000);
    static final Map<String, Boolean> SEEN = Collections.synchronizedMap(new LinkedHashMap<>() {
        @Override protected boolean removeEldestEntry(Map.Entry<String, Boolean> oldest) { return size() > REMEMBER; }
    });

    static boolean matches(String key, String signature, byte[] content) throws GeneralSecurityException {
        String[] secret = key.split("_", 2), given = signature.split(",", 2);
        byte[] raw = Base64.getDecoder().decode(secret[1]);
        if (secret[0].equals("whsec") && given[0].equals("v1")) {
            Mac mac = Mac.getInstance("HmacSHA256");
            mac.init(new SecretKeySpec(raw, "HmacSHA256"));
            String want = Base64.getEncoder().encodeToString(mac.doFinal(content));
            return MessageDigest.isEqual(want.getBytes(StandardCharsets.UTF_8), given[1].getBytes(StandardCharsets.UTF_8)); // constant time
        }
        if (secret[0].equals("whpk") && given[0].equals("v1a")) {
            Signature ed25519 = Signature.getInstance("Ed25519");
            ed25519.initVerify(KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(join(SPKI, raw))));
            ed25519.update(content);
            return ed25519.verify(Base64.getDecoder().decode(given[1]));
        }
        return false;
    }

    static boolean verified(Headers headers, byte[] body) {
        String id = headers.getFirst("webhook-id"), stamp = headers.getFirst("webhook-timestamp"), list = headers.getFirst("webhook-signature");
        if (id == null || stamp == null || list == null || !stamp.matches("[0-9]{1,12}")
                || Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(stamp)) > TOLERANCE) {
            return false;
        }
        byte[] content = join((id + "." + stamp + ".").getBytes(StandardCharsets.UTF_8), body); // the raw bytes, not JSON written anew
        String[] signatures = list.split(" ", 17);
        for (String key : KEYS) {
            for (int i = 0; i < Math.min(signatures.length, 16); i++) {
                try {
                    if (matches(key, signatures[i], content)) return true;
                } catch (GeneralSecurityException | IllegalArgumentException | ArrayIndexOutOfBoundsException malformed) {
                    continue;
                }
            }
        }
        return false;
    }

    static byte[] join(byte[] a, byte[] b) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(a);
        out.writeBytes(b);
        return out.toByteArray();
    }

    /** True once the webhook is ours to do. A real receiver inserts into a table whose key is the id, before it answers. */
    static synchronized boolean take(String id, byte[] body) {
        if (SEEN.containsKey(id)) return true;
        if (!WORK.offer(new Hook(id, body))) return false;
        SEEN.put(id, true);
        return true;
    }

    static void receive(HttpExchange x) throws IOException {
        try (x) {
            byte[] body = x.getRequestBody().readNBytes(MAX_BODY + 1);
            int status = 413;
            if (body.length <= MAX_BODY) {
                status = !verified(x.getRequestHeaders(), body) ? 401 : take(x.getRequestHeaders().getFirst("webhook-id"), body) ? 204 : 503;
            }
            if (status == 503) x.getResponseHeaders().set("Retry-After", "10");
            x.sendResponseHeaders(status, -1);
        }
    }

    static String field(String json, String name) { // a real receiver has a JSON library
        Matcher m = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(json);
        return m.find() ? m.group(1) : "";
    }

    static void work() {
        Map<String, String> newest = new HashMap<>(); // by user
        while (true) {
            try {
                Hook hook = WORK.take();
                String json = new String(hook.body, StandardCharsets.UTF_8), user = field(json, "user"), at = field(json, "at");
                if (at.compareTo(newest.getOrDefault(user, "")) < 0) { // RFC 3339 in UTC with ms: text compares as time
                    System.out.println("late " + hook.id); // webhooks come in any order
                    continue;
                }
                newest.put(user, at);
                System.out.println("done " + hook.id);
            } catch (InterruptedException stopped) {
                return;
            }
        }
    }

    public static void main(String[] args) throws IOException {
        Thread worker = new Thread(Receiver::work);
        worker.setDaemon(true);
        worker.start();
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 0);
        server.setExecutor(Executors.newFixedThreadPool(16));
        server.createContext("/", Receiver::receive);
        server.start();
        System.out.println("listening on 127.0.0.1:" + server.getAddress().getPort());
    }
}
