package mailsim

import (
	"bufio"
	"net"
	"strings"
	"testing"
	"time"
)

// talk says lines to a server and returns the first line of each answer.
func talk(t *testing.T, s *Server, lines ...string) (answers []string) {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(c)
	read := func() string {
		first := ""
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return "gone"
			}
			if first == "" {
				first = strings.TrimRight(line, "\r\n")
			}
			if len(line) < 4 || line[3] != '-' {
				return first
			}
		}
	}
	answers = append(answers, read())
	for _, line := range lines {
		if _, err := c.Write([]byte(line)); err != nil {
			return append(answers, "gone")
		}
		answers = append(answers, read())
	}
	return answers
}

func start(t *testing.T, cfg Config) *Server {
	t.Helper()
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// The simulator refuses what is no SMTP, in and out of order.
func TestServerRefusesNonsense(t *testing.T) {
	s := start(t, Config{Users: map[string]string{"shop": "secret"}})
	const hello, from, to = "EHLO till.example\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n"
	login := "AUTH PLAIN AHNob3AAc2VjcmV0\r\n"
	for name, c := range map[string]struct {
		say  []string
		want string // how the last answer begins
	}{
		"a mail before the greeting":  {[]string{from}, "503"},
		"a mail before the login":     {[]string{hello, from}, "530"},
		"a wrong password":            {[]string{hello, "AUTH PLAIN AHNob3AAd3Jvbmc=\r\n"}, "535"},
		"a reader before the sender":  {[]string{hello, login, to}, "503"},
		"an address without brackets": {[]string{hello, login, "MAIL FROM:a@b.example\r\n"}, "501"},
		"content without a reader":    {[]string{hello, login, from, "DATA\r\n"}, "503"},
		"a bare line feed":            {[]string{"EHLO till.example\n"}, "500"},
		"a bare line feed in a mail":  {[]string{hello, login, from, to, "DATA\r\n", "Subject: x\n\r\n"}, "550"},
		"a line of mail too long":     {[]string{hello, login, from, to, "DATA\r\n", strings.Repeat("x", 1001) + "\r\n"}, "500"},
		"STARTTLS that is not there":  {[]string{hello, "STARTTLS\r\n"}, "503"},
		"all in order":                {[]string{hello, login, from, to, "DATA\r\n", "Subject: x\r\n\r\n..\r\n.\r\n"}, "250"},
	} {
		got := talk(t, s, c.say...)
		if last := got[len(got)-1]; len(got) != len(c.say)+1 || !strings.HasPrefix(last, c.want) {
			t.Errorf("%s: %q, want %s", name, got, c.want)
		}
	}
	mails := s.Mails()
	if len(mails) != 1 || string(mails[0].Data) != "Subject: x\r\n\r\n.\r\n" || mails[0].User != "shop" || !mails[0].Accepted() {
		t.Errorf("it took %+v", mails)
	}
}

// A fault is used once, at its point; what arrived is kept whatever was said.
func TestFaults(t *testing.T) {
	s := start(t, Config{})
	mail := []string{"EHLO till.example\r\n", "MAIL FROM:<a@b.example>\r\n", "RCPT TO:<c@d.example>\r\n", "DATA\r\n", "Subject: x\r\n\r\n.\r\n"}
	for _, c := range []struct {
		fault Fault
		at    int // the answer that it changes
		want  string
		kept  int // mails it has afterwards
	}{
		{Fault{At: Connect, Reply: "554 no", Close: true}, 0, "554", 0},
		{Fault{At: RcptTo, Reply: "550 5.1.1 no such user"}, 3, "550", 0},
		{Fault{At: Data, Reply: "421 4.3.2 going down", Close: true}, 4, "421", 0},
		{Fault{At: Content, Close: true}, 5, "gone", 0},
		{Fault{At: Dot, Reply: "451 4.3.0 later"}, 5, "451", 1},
		{Fault{At: Dot, Close: true}, 5, "gone", 2},
	} {
		s.Script(c.fault)
		if got := talk(t, s, mail...); len(got) <= c.at || !strings.HasPrefix(got[c.at], c.want) {
			t.Errorf("%+v: %q", c.fault, got)
		}
		if n := len(s.Mails()); n != c.kept {
			t.Errorf("%+v: it has %d mails, want %d", c.fault, n, c.kept)
		}
	}
	if got := talk(t, s, mail...); !strings.HasPrefix(got[5], "250") {
		t.Errorf("without a fault: %q", got)
	}
	for i, want := range []bool{false, false, true} {
		if m := s.Mails()[i]; m.Accepted() != want {
			t.Errorf("mail %d was answered with %q", i, m.Answer)
		}
	}
}
