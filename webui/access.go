package webui

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"tillpost/webui/api"
	"tillpost/webui/door"
)

// routes of the page. What is not here, in static or in the API does not
// exist.
func (s *Site) routes() *http.ServeMux {
	m := http.NewServeMux()
	open := func(pattern string, h http.HandlerFunc) { m.HandleFunc(pattern, h) }
	inside := func(pattern string, need right, h http.HandlerFunc) { m.HandleFunc(pattern, s.inside(need, h)) }

	m.Handle("GET /static/", static())
	open("GET /login", s.showLogin)
	open("POST /login", s.login)
	open("GET /setup", s.showSetUp)
	open("POST /setup", s.setUp)
	inside("GET /setup/{step}", steers, s.showStep)
	inside("POST /setup/place", steers, s.setPlace)
	inside("POST /setup/test", steers, s.firstTest)

	inside("GET /{$}", looks, s.overview)
	inside("GET /messages", writes, s.messages)
	inside("GET /messages.csv", writes, s.messagesFile)
	inside("GET /messages/{id}", writes, s.message)
	inside("POST /messages/{id}/{act}", writes, s.actOnMessage)
	inside("GET /write", writes, s.showWrite)
	inside("POST /write", writes, s.write)
	inside("POST /write/count", writes, s.countText)
	inside("GET /inbox", decides, s.inbox)
	inside("GET /inbox/{seq}", decides, s.talk)
	inside("POST /inbox/{seq}/{act}", decides, s.actOnInbound)
	s.contactRoutes(func(pattern string, h http.HandlerFunc) { inside(pattern, reaches, h) })
	s.textRoutes(func(pattern string, h http.HandlerFunc) { inside(pattern, reaches, h) })
	s.reachRoutes(inside)
	inside("GET /ways/{name}", looks, s.showWay)
	inside("POST /ways/{name}/{act}", looks, s.askWay)
	inside("GET /manual", writes, s.manual)
	inside("GET /manual/{at}", writes, s.manual)
	inside("GET /settings", looks, s.showSettings)
	inside("GET /settings/{at}", looks, s.showSettings)
	inside("POST /settings/values", steers, s.setValue)
	inside("POST /settings/keys", steers, s.addKey)
	inside("POST /settings/keys/{name}/revoke", steers, s.revokeKey)
	inside("POST /settings/people", grants, s.setPerson)
	inside("POST /settings/people/{name}/remove", grants, s.removePerson)
	inside("GET /settings/hooks/{name}", steers, s.showHook)
	inside("POST /settings/email", steers, s.setMail)
	inside("POST /settings/hooks", steers, s.setHook)
	inside("POST /settings/hooks/{name}", steers, s.setHook)
	inside("POST /settings/hooks/{name}/{act}", steers, s.actOnHook)
	inside("POST /settings/backup", steers, s.copyOfAll)
	inside("POST /routes/{name}/{act}", looks, s.actOnRoute)
	inside("GET /charts/traffic.svg", looks, s.trafficChart)
	inside("GET /charts/{name}", looks, s.dayChart)
	inside("GET /charts/signal/{way}", looks, s.dayChart)
	inside("GET /live", writes, s.follow)
	inside("POST /logout", writes, s.logout)
	inside("/", writes, s.nothing)
	return m
}

// policy of every page: nothing from elsewhere, nothing inline, no frames.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// ServeHTTP lets in who may come in. API calls carry a key and may use any
// name of the box. Pages live on a cookie, so they ask by which name they are
// called (a foreign name that leads here is DNS rebinding, the appliance's own
// attack) and where a form comes from.
func (s *Site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if api.Owns(r.URL.Path) {
		if !s.door.IsSet() && !near(r) && r.URL.Path != "/healthz" {
			api.Refuse(w, http.StatusForbidden, "set_up_first", "this box has no password yet, so nobody is answered from outside. Open its page and set one")
			return
		}
		s.API.ServeHTTP(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if !s.calledRight(r) {
		p := s.page(r, "")
		s.note(w, p, http.StatusMisdirectedRequest, "gone_h", p.T("wrong_host_text", "name", r.Host), "")
		return
	}
	if err := s.same.Check(r); err != nil {
		http.Error(w, "This form was sent from another site, so it is not accepted.", http.StatusForbidden)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// inside guards a page: who has no session is sent to the door, or on a new
// box to the set-up; who has one needs the right. On the box itself all is open
// until a password is set.
func (s *Site) inside(need right, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, in := s.who(r)
		switch {
		case in && rights[who.Role]&need == need:
			h(w, r)
		case in && r.URL.Path == "/": // a cashier has no overview
			http.Redirect(w, r, "/write", http.StatusSeeOther)
		case in:
			p := s.page(r, "-")
			s.note(w, p, http.StatusForbidden, "not_yours_h", p.T("not_yours_text", "role", p.Role()), "/")
		case r.URL.Path == "/live" || strings.HasPrefix(r.URL.Path, "/charts/"):
			http.Error(w, "Log in first.", http.StatusUnauthorized)
		case !s.door.IsSet():
			http.Redirect(w, r, "/setup", http.StatusSeeOther)
		default:
			http.Redirect(w, r, "/login", http.StatusSeeOther)
		}
	}
}

// near reports whether a request comes from the box itself. What a proxy says
// about its callers is not believed.
func near(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

// hostNames are the names the box answers to, besides any address in digits:
// nobody can make a browser believe that such an address is another's.
func hostNames(further []string) map[string]bool {
	names := map[string]bool{"localhost": true, "tillpost.local": true}
	if host, err := os.Hostname(); err == nil {
		host = strings.ToLower(host)
		short, _, _ := strings.Cut(host, ".")
		names[host], names[short], names[short+".local"] = true, true, true
	}
	for _, n := range further {
		names[strings.ToLower(strings.TrimSuffix(n, "."))] = true
	}
	return names
}

func (s *Site) calledRight(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return s.names[host]
}

// fromHere reports whether a websocket was asked for by our own page. A browser
// always says where it comes from; who does not say is no browser, and has no
// business with a cookie.
func fromHere(r *http.Request) bool {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return strings.EqualFold(r.Header.Get("Origin"), scheme+r.Host)
}

// The session is a cookie that no script can read and no other site can send.

func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-tillpost" // the browser then insists on Secure and Path=/
	}
	return "tillpost"
}

func token(r *http.Request) string {
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return ""
	}
	return c.Value
}

func setToken(w http.ResponseWriter, r *http.Request, value string, age time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: cookieName(r), Value: value, Path: "/", MaxAge: int(age.Seconds()),
		HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
}

// maxForm of what a form may send.
const maxForm = 64 << 10

func form(w http.ResponseWriter, r *http.Request) error { return longForm(w, r, maxForm) }

// longForm reads a form of at most so many bytes.
func longForm(w http.ResponseWriter, r *http.Request, most int64) error {
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if err := r.ParseForm(); err != nil {
		return fmt.Errorf("webui: the form cannot be read: %w", err)
	}
	return nil
}

type doorView struct {
	*page
	Error     string // whole sentence; empty: none
	CodeError bool   // it is about the code, not the password
	Code      string // as typed
	Name      string // as typed
}

func (s *Site) showLogin(w http.ResponseWriter, r *http.Request) {
	switch {
	case !s.door.IsSet() && !near(r):
		http.Redirect(w, r, "/setup", http.StatusSeeOther)
	case !s.door.IsSet(), s.door.Valid(token(r)):
		http.Redirect(w, r, "/", http.StatusSeeOther)
	default:
		s.render(w, http.StatusOK, "login", &doorView{page: s.page(r, "")})
	}
}

func (s *Site) login(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	from, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		from = r.RemoteAddr
	}
	v := &doorView{page: s.page(r, ""), Name: strings.TrimSpace(r.PostForm.Get("name"))}
	t, err := s.door.Login(r.Context(), from, v.Name, r.PostForm.Get("password"))
	if wait, ok := errors.AsType[*door.Wait](err); ok {
		s.slowDown(w, v, "login", wait)
		return
	}
	if errors.Is(err, door.ErrPassword) {
		v.Error = v.T("wrong_password")
		s.render(w, http.StatusForbidden, "login", v)
		return
	}
	if err != nil {
		s.trouble(w, v.page, err)
		return
	}
	setToken(w, r, t, door.SessionFor)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *Site) slowDown(w http.ResponseWriter, v *doorView, name string, wait *door.Wait) {
	n := int(wait.For.Seconds()) + 1
	v.Error, v.CodeError = v.T("wait_seconds", "n", n), true
	w.Header().Set("Retry-After", strconv.Itoa(n))
	s.render(w, http.StatusTooManyRequests, name, v)
}

func (s *Site) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.door.Logout(r.Context(), token(r)); err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	setToken(w, r, "", -time.Second)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// People tells whether anybody has a password of their own, so that the door
// asks for a name.
func (v *doorView) People() bool { return len(v.site.door.People()) > 0 }

func (s *Site) showSetUp(w http.ResponseWriter, r *http.Request) {
	if s.door.IsSet() {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	s.render(w, http.StatusOK, "setup", &doorView{page: s.page(r, "")})
}

func (s *Site) setUp(w http.ResponseWriter, r *http.Request) {
	if err := form(w, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	password := r.PostForm.Get("password")
	v := &doorView{page: s.page(r, ""), Code: r.PostForm.Get("code")}
	err := s.door.First(r.Context(), v.Code, password)
	if wait, ok := errors.AsType[*door.Wait](err); ok {
		s.slowDown(w, v, "setup", wait)
		return
	}
	if weak, ok := errors.AsType[*door.Weak](err); ok {
		v.Error = v.tooWeak(weak)
		s.render(w, http.StatusBadRequest, "setup", v)
		return
	}
	switch {
	case errors.Is(err, door.ErrCode):
		v.Error, v.CodeError = v.T("wrong_code"), true
		s.render(w, http.StatusForbidden, "setup", v)
	case errors.Is(err, door.ErrDone):
		http.Redirect(w, r, "/login", http.StatusSeeOther)
	case err != nil:
		s.trouble(w, v.page, err)
	default:
		s.enter(w, r, password)
	}
}

// enter logs in who has just set the password, and goes on with the wizard.
func (s *Site) enter(w http.ResponseWriter, r *http.Request, password string) {
	t, err := s.door.Login(context.WithoutCancel(r.Context()), "set-up", "", password)
	if err != nil {
		s.trouble(w, s.page(r, ""), err)
		return
	}
	setToken(w, r, t, door.SessionFor)
	http.Redirect(w, r, "/setup/place", http.StatusSeeOther)
}
