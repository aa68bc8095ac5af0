// pgjdbc. See ../run.py for what is printed and the forms.
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.sql.Types;
import java.util.Properties;
import org.postgresql.util.PGInterval;
import org.postgresql.util.PGobject;

class Clients {
  static final String CLIENT = "pgjdbc";
  static final String SEND = "select pgforeman.send(?, ?)";
  static Connection connection;

  interface Filler {
    void fill(PreparedStatement statement) throws SQLException;
  }

  static String text(String form) {
    return System.getenv("CLIENTS_PAYLOAD").replace("CLIENT", CLIENT).replace("FORM", form);
  }

  static PGobject object(String type, String value) throws SQLException {
    PGobject object = new PGobject();
    object.setType(type);
    object.setValue(value);
    return object;
  }

  static void say(String form, String sql, Filler filler) {
    String said = "ok";
    try (PreparedStatement statement = connection.prepareStatement(sql)) {
      filler.fill(statement);
      statement.execute();
    } catch (SQLException error) {
      said = error.getMessage().replaceAll("\\s+", " ");
    }
    System.out.println(String.join("\t", CLIENT, form, said));
  }

  public static void main(String[] words) throws SQLException {
    String url = String.format("jdbc:postgresql://%s:%s/%s", System.getenv("PGHOST"),
        System.getenv("PGPORT"), System.getenv("PGDATABASE"));
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    connection = DriverManager.getConnection(url, properties);
    say("literal", "select pgforeman.send('q', '" + text("literal") + "')", s -> {});
    say("untyped", SEND, s -> {
      s.setObject(1, "q", Types.OTHER);
      s.setObject(2, text("untyped"), Types.OTHER);
    });
    say("text", SEND, s -> {
      s.setString(1, "q");
      s.setString(2, text("text"));
    });
    say("json", SEND, s -> {
      s.setString(1, "q");
      s.setObject(2, object("json", text("json")));
    });
    say("jsonb", SEND, s -> {
      s.setString(1, "q");
      s.setObject(2, object("jsonb", text("jsonb")));
    });
    say("built", "select pgforeman.send('q', json_build_object('client', ?::text, 'form', ?::text,"
        + " 'amount', 1.50, 'text', ?::text))", s -> {
      s.setString(1, CLIENT);
      s.setString(2, "built");
      s.setString(3, System.getenv("CLIENTS_TEXT"));
    });
    say("named", "select pgforeman.send(queue => ?, payload => ?, priority => ?, delay => ?,"
        + " headers => ?)", s -> {
      s.setString(1, "q");
      s.setString(2, text("named"));
      s.setInt(3, 1);
      s.setObject(4, new PGInterval("0 s"));
      s.setObject(5, object("jsonb", "{\"a\": \"b\"}"));
    });
    say("batch", "select pgforeman.send_batch(?, ?)", s -> {
      s.setString(1, "q");
      s.setArray(2, connection.createArrayOf("text", new String[] {text("batch"), text("batch")}));
    });
    say("batch_untyped", "select pgforeman.send_batch(?, ?)", s -> {
      s.setObject(1, "q", Types.OTHER);
      s.setObject(2, "[" + text("batch_untyped") + "," + text("batch_untyped") + "]", Types.OTHER);
    });
    connection.close();
  }
}
