package email

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tillpost/queue/route"
	"tillpost/queue/route/email/mailsim"
)

// The fate of a mail by the moment at which something goes wrong. The final dot
// is the line: nothing before it is in doubt, and nothing after it but an answer
// settles it.
func TestFateByMoment(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault mailsim.Fault
		want  route.Fate
		code  string
		mails int    // whose final dot arrived
		state string // of the route afterwards, if it is not to be ready
	}{
		{"the connection breaks at MAIL", mailsim.Fault{At: mailsim.MailFrom, Close: true, Stays: true}, route.NotOffered, "", 0, "mail_offline"},
		{"no answer to MAIL", mailsim.Fault{At: mailsim.MailFrom, Silent: true, Stays: true}, route.NotOffered, "", 0, "mail_offline"},
		{"the sender is refused", mailsim.Fault{At: mailsim.MailFrom, Reply: "550 5.7.1 sender not allowed", Stays: true}, route.NotOffered, "SMTP 550", 0, "mail_sender"},
		{"the server is going down at MAIL", mailsim.Fault{At: mailsim.MailFrom, Reply: "421 4.3.2 shutting down", Close: true, Stays: true}, route.NotOffered, "SMTP 421", 0, "mail_offline"},
		{"the reader is refused for now", mailsim.Fault{At: mailsim.RcptTo, Reply: "450 4.2.1 mailbox busy"}, route.Retry, "SMTP 450", 0, ""},
		{"the reader is refused", mailsim.Fault{At: mailsim.RcptTo, Reply: "550 5.1.1 unknown"}, route.Reject, "SMTP 550", 0, ""},
		{"the reader needs a login", mailsim.Fault{At: mailsim.RcptTo, Reply: "530 5.7.0 authentication required"}, route.Retry, "SMTP 530", 0, ""},
		{"the server is going down at RCPT", mailsim.Fault{At: mailsim.RcptTo, Reply: "421 4.3.2 shutting down", Close: true}, route.NotOffered, "SMTP 421", 0, ""},
		{"the connection breaks at RCPT", mailsim.Fault{At: mailsim.RcptTo, Close: true}, route.NotOffered, "", 0, ""},
		{"no answer to RCPT", mailsim.Fault{At: mailsim.RcptTo, Silent: true}, route.NotOffered, "", 0, ""},
		{"DATA is refused for now", mailsim.Fault{At: mailsim.Data, Reply: "451 4.3.0 later"}, route.Retry, "SMTP 451", 0, ""},
		{"DATA is refused", mailsim.Fault{At: mailsim.Data, Reply: "554 5.5.1 no valid recipients"}, route.Reject, "SMTP 554", 0, ""},
		{"the connection breaks at DATA", mailsim.Fault{At: mailsim.Data, Close: true}, route.NotOffered, "", 0, ""},
		{"no answer to DATA", mailsim.Fault{At: mailsim.Data, Silent: true}, route.NotOffered, "", 0, ""},
		{"the dot is refused for now", mailsim.Fault{At: mailsim.Dot, Reply: "452 4.3.1 disk full"}, route.Retry, "SMTP 452", 1, ""},
		{"the dot is refused", mailsim.Fault{At: mailsim.Dot, Reply: "554 5.6.0 looks like spam"}, route.Reject, "SMTP 554", 1, ""},
		{"going down at the dot: it did not take it", mailsim.Fault{At: mailsim.Dot, Reply: "421 4.3.2 shutting down", Close: true}, route.Retry, "SMTP 421", 1, ""},
		{"the connection breaks after the dot", mailsim.Fault{At: mailsim.Dot, Close: true}, route.Unknown, "", 1, ""},
		{"no answer to the dot", mailsim.Fault{At: mailsim.Dot, Silent: true}, route.Unknown, "", 1, ""},
		{"a slow answer to the dot", mailsim.Fault{At: mailsim.Dot, Wait: 200 * time.Millisecond}, "carried", "", 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, cfg := server(t, nil)
			cfg.SendTimeout = time.Second
			cfg.Timers.Prove = time.Hour // only Send meets the fault
			r, told := ready(t, cfg)
			s.Script(c.fault)
			receipt, err := r.Send(t.Context(), hello("m1"))
			e, _ := errors.AsType[*route.Error](err)
			if fate(err) != c.want || e != nil && e.Code != c.code {
				t.Errorf("the verdict is %s: %v, want %s %s", fate(err), err, c.want, c.code)
			}
			if n := len(s.Mails()); n != c.mails {
				t.Errorf("%d mails arrived, want %d", n, c.mails)
			}
			want := map[route.Fate]route.PartState{"carried": route.PartSent, route.Unknown: route.PartUnknown, route.Retry: route.PartRefused, route.Reject: route.PartRefused}[c.want]
			switch {
			case want == "" && len(receipt.Parts) != 0:
				t.Errorf("nothing was offered, and the receipt is %+v", receipt)
			case want != "" && (len(receipt.Parts) != 1 || receipt.Parts[0].State != want):
				t.Errorf("the receipt is %+v, want the part %s", receipt, want)
			}
			if c.state != "" {
				eventually(t, "the route says "+c.state, func() bool { return told.last().Code == c.state })
				return
			}
			eventually(t, "the next mail is carried", func() bool {
				_, err := r.Send(t.Context(), hello("m2"))
				return err == nil
			})
		})
	}
}

// A mail that breaks off in its middle was never sent: the server waits for the
// dot, and forgets what it has.
func TestBrokenInTheMiddleIsNotOffered(t *testing.T) {
	s, cfg := server(t, nil)
	cfg.Timers.Prove = time.Hour
	r, _ := ready(t, cfg)
	s.Script(mailsim.Fault{At: mailsim.Content, Close: true})
	out := hello("m1")
	out.HTML = strings.Repeat("<p>more than a socket holds</p>\n", 3000)
	out.HTML += strings.Repeat(out.HTML, 100)
	if _, err := r.Send(t.Context(), out); fate(err) != route.NotOffered {
		t.Errorf("the verdict is %s: %v", fate(err), err)
	}
	if n := len(s.Mails()); n != 0 {
		t.Errorf("%d mails arrived", n)
	}
}

// What is too large for the server is said before it is sent.
func TestTooLargeIsRefused(t *testing.T) {
	_, cfg := server(t, func(c *mailsim.Config) { c.Size = 2000 })
	r, told := ready(t, cfg)
	out := hello("m1")
	out.Text = strings.Repeat("x", 3000)
	_, err := r.Send(t.Context(), out)
	if fate(err) != route.Reject || !strings.Contains(err.Error(), "the server takes 2000") {
		t.Errorf("the verdict is %v", err)
	}
	if told.last().State != route.Ready {
		t.Errorf("the route is %+v", told.last())
	}
}

// A server that closes idle connections, as all do, is no trouble: the mail goes
// over a new one, and the page says nothing.
func TestIdleConnectionIsReplaced(t *testing.T) {
	s, cfg := server(t, nil)
	cfg.Timers.Prove = time.Hour
	r, told := ready(t, cfg)
	for n := range 3 {
		s.HangUp()
		if _, err := r.Send(t.Context(), hello(fmt.Sprint("m", n))); err != nil {
			t.Fatalf("mail %d: %v", n, err)
		}
	}
	if n := len(s.Mails()); n != 3 || len(told.all()) != 2 {
		t.Errorf("%d mails arrived; the route said %+v", n, told.all())
	}
}

// One connection carries one mail after the other, and is not kept for ever.
func TestConnectionIsUsedAgainAndLeft(t *testing.T) {
	s, cfg := server(t, nil)
	cfg.Timers.Prove, cfg.Timers.Keep = time.Hour, 50*time.Millisecond
	r, _ := ready(t, cfg)
	for n := range 5 {
		if n == 3 {
			s.Script(mailsim.Fault{At: mailsim.RcptTo, Reply: "550 5.1.1 unknown"})
		}
		if _, err := r.Send(t.Context(), hello(fmt.Sprint("m", n))); (err != nil) != (n == 3) {
			t.Errorf("mail %d: %v", n, err)
		}
	}
	if n := s.Sessions(); n != 1 {
		t.Errorf("five mails took %d connections", n)
	}
	eventually(t, "the idle connection is left", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.open) == 0
	})
}

// Ending ctx before the mail begins breaks the conversation off; later it does
// not.
func TestCancelBeforeTheMailBegins(t *testing.T) {
	s, cfg := server(t, nil)
	cfg.Timers.Prove = time.Hour
	r, told := ready(t, cfg)
	s.Script(mailsim.Fault{At: mailsim.Data, Hold: true})
	ctx, cancel := context.WithCancel(t.Context())
	verdict := make(chan error, 1)
	go func() {
		_, err := r.Send(ctx, hello("m1"))
		verdict <- err
	}()
	eventually(t, "the mail is on its way", func() bool { return len(r.slots) == 1 })
	cancel()
	if err := <-verdict; fate(err) != route.NotOffered {
		t.Errorf("the verdict is %v", err)
	}
	s.Release()
	if n := len(s.Mails()); n != 0 || told.last().State != route.Ready {
		t.Errorf("%d mails arrived, the route is %+v", n, told.last())
	}
}

// No answer of a server brings an address into a verdict or a status.
func TestAddressesStayOutOfVerdicts(t *testing.T) {
	s, cfg := server(t, nil)
	cfg.Timers.Prove = time.Hour
	r, _ := ready(t, cfg)
	s.Script(mailsim.Fault{At: mailsim.RcptTo, Reply: "550 5.1.1 <anna@example.nl>: user anna unknown, ask postmaster@mail.example"})
	_, err := r.Send(t.Context(), hello("m1"))
	if err == nil || strings.Contains(err.Error(), "anna") || strings.Contains(err.Error(), "postmaster") || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("the verdict is %v", err)
	}
	out := hello("m2")
	out.To = "+31612345678"
	if _, err := r.Send(t.Context(), out); fate(err) != route.Reject || strings.Contains(err.Error(), "612345678") {
		t.Errorf("a number: %v", err)
	}
}
