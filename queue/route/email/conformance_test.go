package email

import (
	"testing"

	"tillpost/queue/route/email/mailsim"
	"tillpost/queue/route/routetest"
)

// steps are what a mail server does with one mail. A refusal comes where the
// reader is named; what is taken and not answered, after the final dot.
var steps = map[routetest.Step]mailsim.Fault{
	routetest.Accept:  {At: mailsim.Dot},
	routetest.Busy:    {At: mailsim.RcptTo, Reply: "451 4.7.1 greylisted, try again later"},
	routetest.Refuse:  {At: mailsim.RcptTo, Reply: "550 5.1.1 no such mailbox"},
	routetest.Swallow: {At: mailsim.Dot, Silent: true},
	routetest.Hold:    {At: mailsim.Dot, Hold: true},
	routetest.Cut:     {At: mailsim.Dot, Close: true},
}

func TestConformance(t *testing.T) {
	routetest.Run(t, func(t *testing.T) routetest.Harness {
		s, cfg := server(t, nil)
		r, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return routetest.Harness{
			Route: r, Whole: true, To: "anna@example.nl", Patience: cfg.SendTimeout, Within: within,
			Script: func(list ...routetest.Step) {
				for _, step := range list {
					s.Script(steps[step])
				}
			},
			Seen: func() (seen []routetest.Sent) {
				for _, m := range s.Mails() {
					_, text, _ := read(t, m.Data)
					seen = append(seen, routetest.Sent{To: m.To[0], Text: text, N: 1, Of: 1})
				}
				return seen
			},
			Release: s.Release,
			Drop:    s.Drop,
			Connect: func() {
				if err := s.Connect(); err != nil {
					t.Error(err)
				}
			},
		}
	})
}
