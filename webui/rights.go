package webui

import (
	"net/http"
	"strings"

	"tillpost/webui/api"
	"tillpost/webui/door"
)

// right is something that a person may do at the page.
type right uint

const (
	writes  right = 1 << iota // writes to customers, and sees what came of that
	looks                     // sees how the box is, and every message
	decides                   // about messages of others, replies and opt-outs
	numbers                   // sees the numbers of customers whole, one by one
	steers                    // modems, keys, log, backup
	grants                    // gives and takes passwords
	reaches                   // customers: who they are, and what is said to many of them
)

// rights of each role. A technician looks after the box and need not know who
// the customers are; the owner is whoever has the password of the shop.
var rights = map[door.Role]right{
	door.Cashier:    writes,
	door.Manager:    writes | looks | decides | numbers | reaches,
	door.Technician: writes | looks | steers,
	door.Owner:      writes | looks | decides | numbers | reaches | steers | grants,
}

// rightNames are how templates call them.
var rightNames = map[string]right{"write": writes, "look": looks, "decide": decides, "numbers": numbers, "steer": steers, "grant": grants, "reach": reaches}

func (p *page) may(r right) bool { return rights[p.Who.Role]&r == r }

// May is for templates.
func (p *page) May(name string) bool { return p.may(rightNames[name]) }

// till is the name under which somebody's messages are found. It has a slash,
// which no key's name may have.
func (p *page) till() string {
	if p.Who.Name == "" {
		return api.ByPage
	}
	return api.ByPage + "/" + strings.ToLower(p.Who.Name)
}

// by is how somebody is called in a story.
func (p *page) by(who string) string {
	if who == api.ByPage {
		return p.T("by_page")
	}
	if name, ok := strings.CutPrefix(who, api.ByPage+"/"); ok {
		return name
	}
	return who
}

// Role in words.
func (p *page) Role() string { return p.T("role_" + string(p.Who.Role)) }

// who opens a page: the person of the session, or on a box without a password
// whoever stands beside it.
func (s *Site) who(r *http.Request) (p door.Person, in bool) {
	if !s.door.IsSet() {
		if near(r) {
			return door.Person{Role: door.Owner}, true
		}
		return door.Person{}, false
	}
	return s.door.Who(token(r))
}

// number shows a number: whole to who may see it, else with its middle hidden.
// Lists hide it from everybody; who looks over a shoulder has no right either.
func (p *page) number(n string) string {
	if p.may(numbers) {
		return grouped(n)
	}
	return masked(n)
}

// grouped writes a number in pairs, as people read it out.
func grouped(number string) string {
	digits, ok := strings.CutPrefix(number, "+")
	if !ok || len(digits) < 8 {
		return number
	}
	n := len(countryCode(digits))
	out, rest := "+"+digits[:n], digits[n:]
	if len(rest)%2 == 1 {
		out, rest = out+" "+rest[:1], rest[1:]
	}
	for ; rest != ""; rest = rest[2:] {
		out += " " + rest[:2]
	}
	return out
}
