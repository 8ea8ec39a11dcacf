// Express with passport-local: a redirect both ways. `node express_app.js PORT DIRECTORY`
import express from "express";
import session from "express-session";
import passport from "passport";
import { Strategy } from "passport-local";

const app = express();
passport.use(new Strategy((username, password, done) =>
  done(null, ["root", "ada", "renée"].includes(username) && password === "right" ? { username } : false)));
passport.serializeUser((user, done) => done(null, user.username));
passport.deserializeUser((username, done) => done(null, { username }));
app.use(express.urlencoded({ extended: true }), express.json());
app.use(session({ secret: "for tests alone", resave: false, saveUninitialized: true }));
app.use(passport.session());
app.get("/login", (request, response) => response.send("<form method=post><input name=username><input name=password></form>"));
app.all("/login", passport.authenticate("local", { successRedirect: "/me", failureRedirect: "/login?error" }));
app.get("/me", (request, response) => response.send(request.user?.username ?? ""));
app.get("/who", (request, response) => response.send(request.get("x-sso-user") ?? ""));
app.use((error, request, response, next) => response.status(400).end());
app.listen(Number(process.argv[2]), "127.0.0.1");
