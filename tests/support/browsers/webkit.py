"""WebKit, Safari's engine, in an invisible window, controlled over a WebSocket.

WebKitGTK has Safari's code for pages, service workers and notifications, but no push service: `subscribe()` only
checks the key. This program also stands in for the desktop that shows the notifications.
"""

import json
import os
import subprocess
import sys
import threading

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
gi.require_version("Soup", "3.0")
gi.require_version("WebKit2", "4.1")
from gi.repository import Gio, GLib  # noqa: E402

# In seconds, and shorter than the tests' own timeouts.
PATIENCE = 30

BUS_NAME = "org.freedesktop.Notifications"
BUS_PATH = "/org/freedesktop/Notifications"
INTERFACE = f"""<node><interface name="{BUS_NAME}">
  <method name="Notify">
    <arg type="s"/><arg type="u"/><arg type="s"/><arg type="s"/><arg type="s"/>
    <arg type="as"/><arg type="a{{sv}}"/><arg type="i"/><arg type="u" direction="out"/>
  </method>
  <method name="CloseNotification"><arg type="u"/></method>
  <method name="GetCapabilities"><arg type="as" direction="out"/></method>
  <method name="GetServerInformation">
    <arg type="s" direction="out"/><arg type="s" direction="out"/>
    <arg type="s" direction="out"/><arg type="s" direction="out"/>
  </method>
</interface></node>"""


class Desktop:
    """The part of a desktop's notification service that WebKit uses: show, click and close."""

    def __init__(self):
        self.shown = []
        self.bus = Gio.TestDBus.new(Gio.TestDBusFlags.NONE)
        self.bus.up()
        ready = threading.Event()
        # In its own thread, because WebKit blocks until it answers.
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        if not ready.wait(PATIENCE):
            raise TimeoutError("no desktop")

    def run(self, ready):
        context = GLib.MainContext.new()
        context.push_thread_default()
        flags = Gio.DBusConnectionFlags
        flags = flags.AUTHENTICATION_CLIENT | flags.MESSAGE_BUS_CONNECTION
        self.connection = Gio.DBusConnection.new_for_address_sync(self.bus.get_bus_address(), flags, None, None)
        interface = Gio.DBusNodeInfo.new_for_xml(INTERFACE).interfaces[0]
        self.connection.register_object(BUS_PATH, interface, self.called)
        named = lambda *_: ready.set()
        Gio.bus_own_name_on_connection(self.connection, BUS_NAME, Gio.BusNameOwnerFlags.NONE, named, None)
        GLib.MainLoop.new(context, False).run()

    def called(self, _connection, _sender, _path, _interface, method, parameters, invocation):
        answer = None
        if method == "Notify":
            _application, _replaced, _icon, title, body, *_ = parameters.unpack()
            self.shown.append({"title": title, "body": body, "closed": False})
            answer = GLib.Variant("(u)", (len(self.shown),))
        elif method == "CloseNotification":
            (number,) = parameters.unpack()
            self.shown[number - 1]["closed"] = True
            self.signal("NotificationClosed", GLib.Variant("(uu)", (number, 3)))
        elif method == "GetCapabilities":
            answer = GLib.Variant("(as)", (["actions", "body"],))
        elif method == "GetServerInformation":
            answer = GLib.Variant("(ssss)", ("tests", "tests", "1", "1.2"))
        invocation.return_value(answer)

    def click(self, index):
        self.signal("ActionInvoked", GLib.Variant("(us)", (index + 1, "default")))

    def signal(self, name, about):
        self.connection.emit_signal(None, BUS_PATH, BUS_NAME, name, about)


def screen():
    """An X display without a screen. It ends with this process."""
    reading, writing = os.pipe()
    ends_with_us = ["setpriv", "--pdeathsig", "KILL"]
    xvfb = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"]
    subprocess.Popen(ends_with_us + xvfb, pass_fds=[writing])
    os.close(writing)
    number = os.read(reading, 16).decode().strip()
    if not number:
        raise ChildProcessError("Xvfb did not start")
    return f":{number}"


DESKTOP = Desktop()
os.environ |= {"DISPLAY": screen(), "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1"}
# GDK's synthetic clicks are events of the X core protocol.
os.environ["GDK_CORE_DEVICE_EVENTS"] = "1"

from gi.repository import Gdk, GObject, Gtk, Soup, WebKit2  # noqa: E402


# Runs before every page's scripts: reports clicks, violations of the Content-Security-Policy and uncaught errors.
REPORTS = """{
  const clicked = ({ isTrusted }) => isTrusted && webkit.messageHandlers.clicked.postMessage("");
  const complain = (text) => webkit.messageHandlers.complained.postMessage(String(text));
  addEventListener("click", clicked, true);
  addEventListener("securitypolicyviolation", (it) => complain(`${it.violatedDirective}: ${it.blockedURI}`));
  const failed = ({ message, target }) => complain(message ?? `not loaded: ${target.src ?? target.href}`);
  addEventListener("error", failed, true);
  addEventListener("unhandledrejection", ({ reason }) => complain(reason));
}"""


class Browser:
    """One window with one page. Its public methods are commands, each answered once."""

    def __init__(self, folder, with_push):
        kept = WebKit2.WebsiteDataManager(base_data_directory=f"{folder}/data", base_cache_directory=f"{folder}/cache")
        context = WebKit2.WebContext.new_with_website_data_manager(kept)
        # A later WebKit process must be told the reader's earlier answers.
        self.origins = {True: [], False: []}
        context.connect(
            "initialize-notification-permissions",
            lambda context: context.initialize_notification_permissions(self.origins[True], self.origins[False]),
        )
        settings = WebKit2.Settings()
        features = WebKit2.Settings.get_all_features()
        known = {it.get_identifier(): it for it in map(features.get, range(features.get_length()))}
        settings.set_feature_enabled(known["PushAPI"], with_push)
        self.scripts = WebKit2.UserContentManager()
        for name, received in [("clicked", self.clicked), ("complained", self.complained)]:
            self.scripts.connect(f"script-message-received::{name}", received)
            self.scripts.register_script_message_handler(name)
        self.add_script(REPORTS)
        self.view = GObject.new(
            WebKit2.WebView, web_context=context, settings=settings, user_content_manager=self.scripts
        )
        self.allowed = True
        self.asked = 0
        self.complaints = []
        self.loading = self.clicking = None
        self.view.connect("permission-request", self.permission)
        self.view.connect("load-changed", self.loaded)
        self.view.connect("load-failed", self.failed)
        self.view.connect("web-process-terminated", lambda *_: Gtk.main_quit())
        self.window = Gtk.Window()
        self.window.add(self.view)
        self.window.set_default_size(1440, 900)
        self.window.show_all()

    def add_script(self, script):
        frames, when = WebKit2.UserContentInjectedFrames.TOP_FRAME, WebKit2.UserScriptInjectionTime.START
        self.scripts.add_script(WebKit2.UserScript.new(script, frames, when, None, None))

    def permission(self, _view, request):
        if not isinstance(request, WebKit2.NotificationPermissionRequest):
            return False
        self.asked += 1
        self.origins[self.allowed].append(WebKit2.SecurityOrigin.new_for_uri(self.view.get_uri()))
        request.allow() if self.allowed else request.deny()
        return True

    def loaded(self, _view, event):
        if event == WebKit2.LoadEvent.FINISHED and self.loading:
            self.loading()
            self.loading = None

    def failed(self, _view, _event, _address, error):
        if self.loading:
            self.loading(error=error.message)
            self.loading = None

    def clicked(self, *_):
        if self.clicking:
            self.clicking()
            self.clicking = None

    def complained(self, _scripts, message):
        self.complaints.append(message.get_js_value().to_string())

    def preload(self, answer, script):
        """Runs this script in every later page, before the page's own scripts."""
        self.add_script(script)
        answer()

    def open(self, answer, url):
        self.loading = answer
        self.view.load_uri(url)

    def run(self, answer, body):
        """Runs the body of an async function and answers its result. For the page it counts as a click."""

        def done(view, result):
            try:
                value = view.call_async_javascript_function_finish(result)
                answer(json.loads(value.to_json(0) or "null"))
            except Exception as error:  # The caller gets the error.
                answer(error=str(error))

        self.view.call_async_javascript_function(body, -1, None, None, None, None, done)

    def click(self, answer, x, y):
        """Answers once the page has received the click."""
        self.clicking = answer
        for kind in Gdk.EventType.BUTTON_PRESS, Gdk.EventType.BUTTON_RELEASE:
            Gdk.test_simulate_button(self.view.get_window(), x, y, 1, Gdk.ModifierType(0), kind)

    def permit(self, answer, allowed):
        """Sets the reader's answer to permission questions."""
        self.allowed = allowed
        answer()

    def look(self, answer, width, height, dark):
        Gtk.Settings.get_default().set_property("gtk-enable-animations", False)
        Gtk.Settings.get_default().set_property("gtk-application-prefer-dark-theme", dark)
        self.window.resize(width, height)
        answer()

    def screenshot(self, answer, file):
        """A picture of the whole page."""

        def done(view, result):
            try:
                view.get_snapshot_finish(result).write_to_png(file)
                answer()
            except GLib.Error as error:
                answer(error=error.message)

        whole, plain = WebKit2.SnapshotRegion.FULL_DOCUMENT, WebKit2.SnapshotOptions.NONE
        self.view.get_snapshot(whole, plain, None, done)

    def report(self, answer):
        """Number of permission questions, notifications shown, and problems reported by pages."""
        answer({"asked": self.asked, "shown": DESKTOP.shown, "complaints": self.complaints})

    def choose(self, answer, index):
        """Clicks on a notification."""
        DESKTOP.click(index)
        answer()


def serve(browser):
    def received(socket, _kind, data):
        command = json.loads(data.get_data())

        def answer(result=None, error=None):
            socket.send_text(json.dumps({"id": command["id"], "result": result, "error": error}))

        try:
            getattr(browser, command["method"])(answer, **command["params"])
        except Exception as error:  # The caller gets the error.
            answer(error=repr(error))

    # A connection without a reference would be closed.
    connections = []

    def connected(_server, _message, _path, socket):
        connections.append(socket)
        socket.set_max_incoming_payload_size(0)
        socket.connect("message", received)
        socket.connect("closed", lambda _: Gtk.main_quit())

    server = Soup.Server()
    server.add_websocket_handler("/", None, None, connected)
    server.listen_local(0, Soup.ServerListenOptions.IPV4_ONLY)
    # The process that started this one may be gone.
    GLib.timeout_add_seconds(PATIENCE, lambda: None if connections else Gtk.main_quit())
    print(f"WebKit listens on ws://127.0.0.1:{server.get_uris()[0].get_port()}/", file=sys.stderr, flush=True)
    Gtk.main()


serve(Browser(sys.argv[1], sys.argv[2] == "with-push"))
DESKTOP.bus.stop()
