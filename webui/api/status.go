package api

import (
	_ "embed"
	"errors"
	"net/http"
	"strings"
	"time"

	"tillpost/queue"
	"tillpost/webui/api/wire"
	"tillpost/webui/lamp"
)

func (a *API) health(lang string) wire.Health {
	b := lamp.Look(a.queue, a.db)
	return wire.Health{Status: string(b.Health), Lamp: string(b.Colour), Code: b.Code, Reason: queue.Words(b.Code, lang, nil)}
}

// healthz says one word to anybody, and more to who has a key.
func (a *API) healthz(c *call) (*reply, error) {
	h := a.health(c.lang)
	status := http.StatusOK
	if h.Status == string(lamp.Down) {
		status = http.StatusServiceUnavailable
	}
	if c.who.known() {
		return answer(status, h)
	}
	c.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c.w.Header().Set("Cache-Control", "no-store")
	c.w.WriteHeader(status)
	if _, err := c.w.Write([]byte(h.Status + "\n")); err != nil {
		a.log.Debug("answer not taken", "path", "/healthz", "err", err)
	}
	return nil, nil
}

func (a *API) status(c *call) (*reply, error) {
	ways, err := a.ways(c.lang)
	if err != nil {
		return nil, err
	}
	out := wire.Status{
		Health: a.health(c.lang), Version: a.cfg.Version, Box: a.db.Box(), Now: a.queue.Now(), Clock: a.clock(), Started: a.started,
		Waiting: wire.Counts(a.queue.Counts()), Routes: ways, LastSeq: a.queue.LastEvent(), Commits: a.db.Stats().Commits,
		Password: true,
	}
	if a.cfg.SetUp != nil {
		code, done := a.cfg.SetUp()
		out.Password = done
		if c.who.operator {
			out.SetUp = code
		}
	}
	return answer(http.StatusOK, out)
}

func (a *API) clock() wire.Clock {
	r := a.queue.Time()
	return wire.Clock{Quality: string(r.Quality), Source: r.Source, Offset: int64(r.Offset / time.Second), Floor: clock(r.Floor)}
}

// check reads every row there is. It may take a while on a large store.
func (a *API) check(*call) (*reply, error) {
	out := wire.Check{OK: true, Problems: []string{}}
	if err := a.db.Check(); err != nil {
		out.OK = false
		out.Problems = problems(err)
	}
	return answer(http.StatusOK, out)
}

// problems takes joined errors apart.
func problems(err error) []string {
	if many, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var out []string
		for _, e := range many.Unwrap() {
			out = append(out, problems(e)...)
		}
		return out
	}
	return strings.Split(err.Error(), "\n")
}

// OpenAPI is the description of every call, as /openapi.json gives it.
//
//go:embed openapi.json
var OpenAPI []byte

func (a *API) openapi(*call) (*reply, error) {
	return &reply{status: http.StatusOK, body: OpenAPI}, nil
}
