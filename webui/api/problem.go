package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/queue/store"
	"tillpost/webui/api/wire"
)

func refusal(status int, code, field, detail string) *wire.Problem {
	return &wire.Problem{
		Type: "urn:tillpost:problem:" + code, Title: http.StatusText(status),
		Status: status, Code: code, Field: field, Detail: detail,
	}
}

// problemOf says in the words of the API what went wrong below it. known is
// false for an error that no caller can do anything about.
func problemOf(err error) (p *wire.Problem, known bool) {
	if p, ok := errors.AsType[*wire.Problem](err); ok {
		return p, true
	}
	if e, ok := errors.AsType[*queue.Invalid](err); ok {
		return refusal(http.StatusBadRequest, e.Code, e.Field, e.Detail), true
	}
	if p, ok := forbidden(err); ok {
		return p, true
	}
	if e, ok := errors.AsType[*queue.Full](err); ok {
		p := refusal(http.StatusTooManyRequests, "queue_full", "", e.Error())
		p.RetryAfter = e.RetryAfter
		return p, true
	}
	if e, ok := errors.AsType[*queue.TooFast](err); ok {
		p := refusal(http.StatusTooManyRequests, "till_limit", "", e.Error())
		p.RetryAfter = e.RetryAfter
		return p, true
	}
	if e, ok := errors.AsType[*queue.Gone](err); ok {
		p := refusal(http.StatusGone, "events_gone", "after",
			fmt.Sprintf("events that old are no longer kept. Read the messages anew, then go on after %d", e.First-1))
		p.First = e.First
		return p, true
	}
	if e, ok := errors.AsType[*queue.ErrNotNow](err); ok {
		what := "Look at it again"
		if e.State == queue.Unknown {
			what = "Settle it: say that it arrived or that it failed, or send it again"
		}
		return refusal(http.StatusConflict, "not_now", "state",
			fmt.Sprintf("this message is %s, which does not allow that. %s", e.State, what)), true
	}
	switch {
	case errors.Is(err, store.ErrDiskLow):
		return refusal(http.StatusInsufficientStorage, "disk_low", "",
			"the storage of the box is almost full: nothing new is accepted until there is room again. What was accepted still goes out"), true
	case errors.Is(err, queue.ErrNotFound):
		return refusal(http.StatusNotFound, "not_found", "", "there is no such thing here. Check the id"), true
	case errors.Is(err, store.ErrClosed):
		p := refusal(http.StatusServiceUnavailable, "stopping", "", "the box is stopping. Send it again in a moment")
		p.RetryAfter = 5 * time.Second
		return p, true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		p := refusal(http.StatusServiceUnavailable, "interrupted", "",
			"the call was given up before the box had begun it. Send it again, with the same Idempotency-Key")
		p.RetryAfter = time.Second
		return p, true
	}
	return refusal(http.StatusInternalServerError, "internal", "",
		"the box could not do this; the reason is in its log. Send it again with the same Idempotency-Key, and tell your supplier if it stays"), false
}

// refuse writes an error, and logs it if the caller cannot be told the cause.
func (a *API) refuse(w http.ResponseWriter, r *http.Request, err error) {
	p, known := problemOf(err)
	if !known {
		a.log.Error("a call failed", "method", r.Method, "route", r.Pattern, "err", err)
	}
	writeProblem(w, p)
}

// Refuse answers in the form of the API for whoever stands before it.
func Refuse(w http.ResponseWriter, status int, code, detail string) {
	writeProblem(w, refusal(status, code, "", detail))
}

func writeProblem(w http.ResponseWriter, p *wire.Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and numbers: cannot fail
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="tillpost"`) // RFC 6750 §3
	}
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(p.RetryAfter.Seconds()))))
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // fails when the caller has gone: there is nobody left to tell
}

// nowhere answers paths and methods that the table does not have.
func (a *API) nowhere(w http.ResponseWriter, r *http.Request) {
	if allow := a.methods(r); len(allow) > 0 {
		w.Header().Set("Allow", strings.Join(allow, ", "))
		writeProblem(w, refusal(http.StatusMethodNotAllowed, "method_not_allowed", "",
			fmt.Sprintf("%s is not possible here. Possible: %s", r.Method, strings.Join(allow, ", "))))
		return
	}
	writeProblem(w, refusal(http.StatusNotFound, "no_such_path", "",
		"there is nothing at this path. The description of all calls is at /openapi.json"))
}

// methods that the path of r would answer.
func (a *API) methods(r *http.Request) []string {
	var allow []string
	for _, m := range []string{"GET", "POST", "PUT", "DELETE"} {
		probe := &http.Request{Method: m, URL: r.URL, Host: r.Host}
		if _, pattern := a.mux.Handler(probe); pattern != "/" {
			allow = append(allow, m)
		}
	}
	slices.Sort(allow)
	return allow
}
