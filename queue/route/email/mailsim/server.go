package mailsim

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Config of a Server. The zero value takes mail from everybody in plain sight.
type Config struct {
	Addr     string            // default 127.0.0.1:0
	Listener net.Listener      // instead: takes connections that are no sockets. Drop and Connect are then not for use
	TLS      *tls.Config       // offers STARTTLS; see Certificate
	Implicit bool              // speaks TLS from the first byte (RFC 8314 §3.3)
	Users    map[string]string // name → password; who is to give one, or nobody
	Auth     []string          // ways to log in that are offered; default PLAIN LOGIN
	Size     int               // limit that is announced (RFC 1870); default 10 MB
}

// Fault is what the server does at one point of a conversation, instead of the
// usual. It is used up by the first conversation that comes there.
type Fault struct {
	At     Point
	Reply  string        // said instead, such as "451 4.3.0 try later"
	Wait   time.Duration // before the answer
	Hold   bool          // the answer waits for Release
	Silent bool          // there is no answer
	Close  bool          // the connection ends here, after Reply if there is one
	Stays  bool          // it is not used up: until Clear
}

// Point of a conversation.
type Point string

const (
	Connect  Point = "CONNECT" // before the greeting
	Ehlo     Point = "EHLO"
	StartTLS Point = "STARTTLS"
	Auth     Point = "AUTH"
	MailFrom Point = "MAIL"
	RcptTo   Point = "RCPT"
	Data     Point = "DATA"
	Content  Point = "CONTENT" // after the first line of it
	Dot      Point = "DOT"     // after the final dot: the mail is there
	Reset    Point = "RSET"
	Noop     Point = "NOOP"
)

// Mail is one mail whose final dot arrived.
type Mail struct {
	From   string
	To     []string
	Data   []byte // with CRLF and without dot stuffing
	User   string // who was logged in
	TLS    bool
	Answer string // what was said, or empty
	At     time.Time
}

// Accepted says whether the server said that it has the mail.
func (m *Mail) Accepted() bool { return len(m.Answer) > 0 && m.Answer[0] == '2' }

// Server is a mail server in this process.
type Server struct {
	cfg  Config
	addr string

	mu       sync.Mutex
	listener net.Listener // nil: nobody can connect
	conns    map[net.Conn]bool
	faults   []Fault
	held     chan struct{} // closed by Release
	over     chan struct{} // closed by Close
	mails    []Mail
	logins   int // tries to log in
	sessions int // conversations begun
	waiting  int // answers that are held
	serving  sync.WaitGroup
}

// New starts a server.
func New(cfg Config) (*Server, error) {
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:0"
	}
	if cfg.Auth == nil {
		cfg.Auth = []string{"PLAIN", "LOGIN"}
	}
	if cfg.Size == 0 {
		cfg.Size = 10 << 20
	}
	s := &Server{cfg: cfg, addr: cfg.Addr, conns: map[net.Conn]bool{}, held: make(chan struct{}), over: make(chan struct{})}
	return s, s.Connect()
}

// Connect lets clients connect, as at the start.
func (s *Server) Connect() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		return nil
	}
	l := s.cfg.Listener
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", s.addr); err != nil {
			return fmt.Errorf("mailsim: %w", err)
		}
	}
	s.listener, s.addr = l, l.Addr().String()
	s.serving.Go(func() { s.accept(l) })
	return nil
}

// Drop breaks every connection and takes no new ones until Connect.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		s.listener.Close() // nothing is lost with it
		s.listener = nil
	}
	s.hangUp()
}

// HangUp breaks every connection; new ones are taken.
func (s *Server) HangUp() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hangUp()
}

func (s *Server) hangUp() {
	for c := range s.conns {
		c.Close() // that is the point
	}
}

// Close ends the server and waits until nothing of it is left. It is called
// once.
func (s *Server) Close() {
	close(s.over)
	s.Drop()
	s.Release()
	s.serving.Wait()
}

// Addr is where it listens, host:port; it stays the same across Drop.
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// Port is the port of Addr.
func (s *Server) Port() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, err := net.ResolveTCPAddr("tcp", s.addr)
	if err != nil {
		return 0
	}
	return a.Port
}

// Script adds faults, each for the first conversation that comes to its point.
func (s *Server) Script(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Clear takes all faults away.
func (s *Server) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Release lets go every answer that is held.
func (s *Server) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.held)
	s.held = make(chan struct{})
}

// Mails are all whose final dot arrived, in order.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Logins is how often somebody tried to log in.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// Sessions is how many conversations were begun.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

func (s *Server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		open := s.listener == l
		if open {
			s.conns[c] = true
			s.sessions++
		}
		s.mu.Unlock()
		if !open {
			c.Close() // it came too late
			continue
		}
		s.serving.Go(func() {
			defer func() {
				s.mu.Lock()
				delete(s.conns, c)
				s.mu.Unlock()
				c.Close() // whatever it was closed with before
			}()
			s.converse(c)
		})
	}
}

// fault takes the one for a point, if there is one.
func (s *Server) fault(at Point) (f Fault, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f Fault) bool { return f.At == at })
	if i < 0 {
		return Fault{}, false
	}
	f = s.faults[i]
	if !f.Stays {
		s.faults = slices.Delete(s.faults, i, i+1)
	}
	return f, true
}

// Held is how many answers wait for Release.
func (s *Server) Held() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting
}

// hold waits for Release.
func (s *Server) hold() {
	s.mu.Lock()
	released := s.held
	s.waiting++
	s.mu.Unlock()
	<-released
	s.mu.Lock()
	s.waiting--
	s.mu.Unlock()
}

// keep adds a mail and returns where it is.
func (s *Server) keep(m Mail) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	return len(s.mails) - 1
}

func (s *Server) answered(n int, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails[n].Answer = answer
}
