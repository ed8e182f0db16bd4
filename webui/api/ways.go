package api

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"tillpost/queue"
	"tillpost/queue/route"
	"tillpost/webui/api/wire"
	"tillpost/webui/lamp"
)

func (a *API) listRoutes(c *call) (*reply, error) {
	ways, err := a.ways(c.lang)
	if err != nil {
		return nil, err
	}
	return answer(http.StatusOK, wire.Page[wire.Route]{Items: ways})
}

func (a *API) ways(lang string) ([]wire.Route, error) {
	out := []wire.Route{}
	for _, r := range a.queue.Routes() {
		code := lamp.Of(r).Code
		limits, err := a.limits(r.Route)
		if errors.Is(err, queue.ErrNotFound) {
			continue // it has gone meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, wire.Route{
			Name: r.Route, Kind: r.Kind, Pool: r.Pool, State: r.State, Paused: r.Paused, Busy: r.Busy, Lanes: max(r.Lanes, 1),
			Code: code, Reason: queue.Words(code, lang, nil), Detail: r.Detail, Doing: r.Doing, Since: clock(r.Since),
			Identity: r.Identity, Port: r.Port, Device: r.Device, Model: r.Model,
			Operator: r.Operator, Tech: r.Tech, Signal: r.Signal,
			Limits: limits, Care: r.Care,
		})
	}
	return out, nil
}

// limits of a route, an empty list where it has none.
func (a *API) limits(name string) ([]wire.Limit, error) {
	list, err := a.queue.Quotas(name)
	out := make([]wire.Limit, len(list))
	for i, l := range list {
		out[i] = wire.Limit{Of: l.Of, Left: l.Left, Limit: l.Limit, Until: clock(l.Until)}
	}
	return out, err
}

// way answers an action on a route with the route as it is after it.
func (a *API) way(c *call, name string) (*reply, error) {
	ways, err := a.ways(c.lang)
	if err != nil {
		return nil, err
	}
	for _, r := range ways {
		if r.Name == name {
			return answer(http.StatusOK, r)
		}
	}
	return nil, noRoute(name)
}

func noRoute(name string) error {
	return refusal(http.StatusNotFound, "not_found", "name", fmt.Sprintf("there is no route called %q. GET /routes lists them", name))
}

// named finds the route of the path as the add-on T, or says that it has none.
func named[T any](a *API, c *call, what string) (T, error) {
	var none T
	name := c.r.PathValue("name")
	r, ok := a.queue.Route(name)
	if !ok {
		return none, noRoute(name)
	}
	t, ok := r.(T)
	if !ok {
		return none, refusal(http.StatusConflict, "route_cannot", "name", fmt.Sprintf("%s cannot %s: it is not a route of that kind", name, what))
	}
	return t, nil
}

func (a *API) pauseRoute(c *call) (*reply, error) {
	name := c.r.PathValue("name")
	if _, ok := a.queue.Route(name); !ok {
		return nil, noRoute(name)
	}
	if err := a.queue.Pause(c.ctx, name, c.who.by); err != nil {
		return nil, err
	}
	return a.way(c, name)
}

func (a *API) resumeRoute(c *call) (*reply, error) {
	name := c.r.PathValue("name")
	if _, ok := a.queue.Route(name); !ok {
		return nil, noRoute(name)
	}
	if err := a.queue.Resume(c.ctx, name, c.who.by); err != nil {
		return nil, err
	}
	return a.way(c, name)
}

func (a *API) restartRoute(c *call) (*reply, error) {
	r, err := named[route.Restarter](a, c, "be restarted")
	if err != nil {
		return nil, err
	}
	if err := r.Restart(c.ctx); err != nil {
		return nil, routeSaid(err)
	}
	a.log.Info("route restarted", "route", c.r.PathValue("name"), "by", c.who.by)
	return a.way(c, c.r.PathValue("name"))
}

func (a *API) ussd(c *call) (*reply, error) {
	var in wire.USSD
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := serviceCode(in.Code); err != nil {
		return nil, err
	}
	r, err := named[route.USSD](a, c, "run service codes")
	if err != nil {
		return nil, err
	}
	text, err := r.USSD(c.ctx, in.Code)
	if err != nil {
		return nil, routeSaid(err)
	}
	a.log.Info("service code run", "route", c.r.PathValue("name"), "by", c.who.by)
	return answer(http.StatusOK, wire.USSDAnswer{Text: text})
}

func (a *API) examine(c *call) (*reply, error) {
	r, err := named[route.Doctor](a, c, "be examined")
	if err != nil {
		return nil, err
	}
	found, err := r.Examine(c.ctx)
	if err != nil {
		return nil, routeSaid(err)
	}
	if found == nil {
		found = []string{} // null would be no list
	}
	return answer(http.StatusOK, wire.Findings{Findings: found})
}

func (a *API) enterPIN(c *call) (*reply, error) {
	var in wire.PIN
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := CheckPIN(in.PIN); err != nil {
		return nil, err
	}
	r, err := named[route.PINEntry](a, c, "take a PIN")
	if err != nil {
		return nil, err
	}
	if err := r.EnterPIN(c.ctx, in.PIN); err != nil {
		return nil, routeSaid(err)
	}
	a.log.Info("PIN entered", "route", c.r.PathValue("name"), "by", c.who.by)
	return a.way(c, c.r.PathValue("name"))
}

// routeSaid passes on what a modem or provider answered to a person's action.
func routeSaid(err error) error {
	return refusal(http.StatusBadGateway, "route_refused", "", "the route could not do it: "+err.Error())
}

var (
	ussdForm  = regexp.MustCompile(`^[*#][0-9*#]{0,38}#$`)
	replyForm = regexp.MustCompile(`^[0-9]{1,20}$`)
	pinForm   = regexp.MustCompile(`^[0-9]{4,8}$`)

	// procedure is what every code for a supplementary service begins with
	// (3GPP TS 22.030 §6.5.2): a prefix of one or two of * and #, the code,
	// then * or #.
	procedure = regexp.MustCompile(`^(?:\*|#|\*#|\*\*|##)([0-9]{2,3})[*#]`)
)

// supplementary are the codes that would change the subscription: divert
// calls, bar them, hide the number, change a password (3GPP TS 22.030 annex B
// and C).
var supplementary = map[string]string{
	"002": "diverting all calls", "004": "diverting calls on conditions",
	"21": "diverting calls", "61": "diverting calls", "62": "diverting calls", "67": "diverting calls",
	"03": "changing the barring password", "04": "changing the PIN", "05": "unblocking the PIN",
	"042": "changing the PIN 2", "052": "unblocking the PIN 2",
	"30": "showing the caller", "31": "hiding the number", "76": "showing the called number", "77": "hiding the called number", "300": "showing the caller's name",
	"33": "barring calls", "330": "barring calls", "331": "barring calls", "332": "barring calls", "333": "barring calls",
	"35": "barring calls", "351": "barring calls", "353": "barring calls",
	"37": "completing calls to busy numbers", "43": "call waiting", "66": "following calls", "96": "transferring calls",
	"75": "call priority", "750": "call priority", "751": "call priority", "752": "call priority", "753": "call priority", "754": "call priority",
}

// serviceCode allows what asks for a balance and the like, and the answer to a
// question the network asked.
func serviceCode(code string) error {
	if replyForm.MatchString(code) {
		return nil
	}
	if !ussdForm.MatchString(code) {
		return refusal(http.StatusBadRequest, "ussd_invalid", "code", "a service code begins with * or #, ends with # and has digits between, such as *100#")
	}
	what, refused := "", strings.HasPrefix(code, "**") || strings.HasPrefix(code, "##")
	if m := procedure.FindStringSubmatch(code); m != nil && !refused {
		what, refused = supplementary[m[1]], supplementary[m[1]] != ""
	}
	if !refused {
		return nil
	}
	if what == "" {
		what = "changing the subscription"
	}
	return refusal(http.StatusBadRequest, "ussd_refused", "code", "codes for "+what+" are not run from here. Use the phone company's site, or a telephone")
}
