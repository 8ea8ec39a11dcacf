# Sinatra, on Rack: a redirect both ways. `ruby sinatra_app.rb PORT DIRECTORY`
require "sinatra/base"
require "webrick"

class Application < Sinatra::Base
  enable :sessions
  set :session_secret, "for tests alone, and sixty-four characters of it, as Rack demands"
  set :protection, false # its tokens would stop every spelling of the test
  set :show_exceptions, false

  get("/login") { '<form method="post"><input name="username"><input name="password" type="password"></form>' }
  post "/login" do
    if %w[root ada renée].include?(params["username"]) && params["password"] == "right"
      session["user"] = params["username"]
      redirect "/me"
    end
    redirect "/login?error"
  end
  get("/me") { session["user"].to_s }
  get("/who") { request.env["HTTP_X_SSO_USER"].to_s }
end

quiet = { AccessLog: [], Logger: WEBrick::Log.new(nil, 0) }
# WEBrick writes head and body apart: without this the second waits 40 ms for the acknowledgement of the first.
at_once = { AcceptCallback: ->(socket) { socket.setsockopt(:TCP, :NODELAY, 1) } }
Rack::Handler::WEBrick.run(Application, Host: "127.0.0.1", Port: ARGV[0].to_i, **quiet, **at_once)
