import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.catalina.authenticator.FormAuthenticator;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.descriptor.web.LoginConfig;
import org.apache.tomcat.util.descriptor.web.SecurityCollection;
import org.apache.tomcat.util.descriptor.web.SecurityConstraint;

/** A login of one's own at /login, and the container's in front of /inside. `java -cp … ServletApp.java PORT DIRECTORY` */
public class ServletApp {
  static final Set<String> USERS = Set.of("root", "ada", "ren\u00e9e");
  static final String FORM = "<form method=post><input name=username><input name=password type=password></form>";

  interface Page {
    String of(HttpServletRequest request);
  }

  static class Shown extends HttpServlet {
    private final transient Page page;

    Shown(Page page) {
      this.page = page;
    }

    @Override protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
      response.setCharacterEncoding("UTF-8");
      response.getWriter().print(Objects.requireNonNullElse(page.of(request), ""));
    }

    // The container forwards a wrong password's POST to its error page.
    @Override protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
      doGet(request, response);
    }
  }

  static class Login extends Shown {
    Login() {
      super(request -> FORM);
    }

    @Override protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
      request.setCharacterEncoding("UTF-8");
      String name = request.getParameter("username");
      if (name == null || !USERS.contains(name) || !"right".equals(request.getParameter("password"))) {
        response.sendRedirect("/login?error");
        return;
      }
      request.getSession().setAttribute("user", name);
      response.sendRedirect("/me");
    }
  }

  static String own(HttpServletRequest request) {
    var session = request.getSession(false);
    return session == null ? null : (String) session.getAttribute("user");
  }

  public static void main(String[] arguments) throws Exception {
    Logger.getLogger("").setLevel(Level.WARNING);
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(arguments[1]);
    tomcat.setPort(Integer.parseInt(arguments[0]));
    tomcat.getConnector().setProperty("address", "127.0.0.1");
    var context = tomcat.addContext("", arguments[1]);
    var pages = Map.of("/login", new Login(), "/form", new Shown(request -> FORM), "/me", new Shown(ServletApp::own),
        "/inside", new Shown(HttpServletRequest::getRemoteUser), "/who", new Shown(request -> request.getHeader("x-sso-user")));
    pages.forEach((path, servlet) -> {
      Tomcat.addServlet(context, path, servlet);
      context.addServletMappingDecoded(path, path);
    });
    USERS.forEach(name -> tomcat.addUser(name, "right"));
    context.setLoginConfig(new LoginConfig("FORM", null, "/form", "/form"));
    var constraint = new SecurityConstraint();
    constraint.addAuthRole("**");
    var inside = new SecurityCollection();
    inside.addPattern("/inside");
    constraint.addCollection(inside);
    context.addConstraint(constraint);
    var forms = new FormAuthenticator();
    forms.setCharacterEncoding("UTF-8");
    context.getPipeline().addValve(forms);
    tomcat.start();
    tomcat.getServer().await();
  }
}
