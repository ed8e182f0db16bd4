// Package live carries news to browsers and programs over websockets.
//
// A Hub wakes its connections when something changed, at most four times a
// second, and each connection asks its own Source what is new to it. Nothing
// is queued for anybody: a connection that reads slowly finds one larger piece
// of news when it is ready, and one that does not read at all fails its write
// deadline and is dropped. No connection can hold up another, nor the box.
//
// A thousand connections cost little more than a few: a Source may give many of
// them the same Message, which is framed and compressed once, and they are woken
// in rows, one after the other, so that what the box is there for always finds
// a processor in between.
//
// It promises that Run leaves no connection and no goroutine behind. It knows
// nothing of the house and imports nothing of it.
package live

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

const (
	pace      = 250 * time.Millisecond // between two wakes
	rows      = 16                     // into which many connections are divided
	few       = 64                     // connections are woken all at once
	beatEach  = 4 * time.Second        // the page gives the box up after 10 s
	pingEach  = 25 * time.Second
	readWait  = 60 * time.Second // for the pong to a ping
	writeWait = 5 * time.Second
	readLimit = 4096 // nobody has anything to tell us
	maxConns  = 2000
)

// Source is what one connection follows. Its methods are called from one
// goroutine.
type Source interface {
	// Next returns what is new since the last call, nil for nothing. wake counts
	// the wakes of the hub: what was read after it had that value is not out of
	// date while it has. An error ends the connection.
	Next(wake uint64) (*Message, error)
	// Beat returns the shortest message that says: the box is there.
	Beat() (*Message, error)
}

// Message is one message, ready to be written to any number of connections.
type Message struct{ prepared *websocket.PreparedMessage }

// NewMessage makes a text message of body, which must not be changed any more.
func NewMessage(body []byte) (*Message, error) {
	m, err := websocket.NewPreparedMessage(websocket.TextMessage, body)
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	return &Message{m}, nil
}

// Hub is a set of connections. Create it with NewHub and run it.
type Hub struct {
	subscribe func() (<-chan struct{}, func())
	pace      time.Duration
	writeWait time.Duration

	mu    sync.Mutex
	wake  uint64              // counts them
	news  [rows]chan struct{} // of each row, closed at its next wake
	last  int                 // row of the newest connection
	ended chan struct{}       // closed when Run ends
	over  bool
	conns map[*conn]bool
	all   sync.WaitGroup
}

// NewHub makes a hub that wakes when the channel of subscribe gives a token.
func NewHub(subscribe func() (<-chan struct{}, func())) *Hub {
	h := &Hub{subscribe: subscribe, pace: pace, writeWait: writeWait, ended: make(chan struct{}), conns: map[*conn]bool{}}
	for i := range h.news {
		h.news[i] = make(chan struct{})
	}
	return h
}

// Run wakes connections until ctx ends, then says goodbye to them and waits
// until they are closed.
func (h *Hub) Run(ctx context.Context) {
	token, stop := h.subscribe()
	defer stop()
	for ctx.Err() == nil {
		select {
		case <-token:
			h.wakeAll(ctx)
		case <-ctx.Done():
		}
	}
	h.mu.Lock()
	h.over = true
	close(h.ended)
	h.mu.Unlock()
	h.all.Wait()
}

// wakeAll lets every connection look for news, and returns when the next wake
// may come. Few are woken at once; many row by row, spread over that time.
func (h *Hub) wakeAll(ctx context.Context) {
	h.mu.Lock()
	h.wake++
	at, step := 0, 1
	if len(h.conns) <= few {
		step = rows
	}
	h.mu.Unlock()
	for ; at < rows && ctx.Err() == nil; at += step {
		h.mu.Lock()
		for i := at; i < at+step; i++ {
			close(h.news[i])
			h.news[i] = make(chan struct{})
		}
		h.mu.Unlock()
		select {
		case <-time.After(h.pace * time.Duration(step) / rows):
		case <-ctx.Done():
		}
	}
}

// Len is the number of connections.
func (h *Hub) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns)
}

// Wakes is how many wakes there were; see Source.
func (h *Hub) Wakes() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.wake
}

// next is closed at the next wake of a row; wake is how many there were.
func (h *Hub) next(row int) (news <-chan struct{}, wake uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.news[row], h.wake
}

var (
	errOver = errors.New("live: the box is stopping")
	errMany = fmt.Errorf("live: %d connections are open, which is the most", maxConns)
)

// Serve makes a websocket of the request and follows src until the other end
// leaves, is too slow, or Run ends. origin decides about the Origin header;
// nil allows any, which is right only where a header the browser cannot set
// has said who calls. Before the upgrade the request is answered with a status;
// after it an error means that the connection broke.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, src Source, origin func(*http.Request) bool) error {
	c := &conn{hub: h, src: src}
	if err := h.admit(c); err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return err
	}
	defer h.leave(c)
	if origin == nil {
		origin = func(*http.Request) bool { return true }
	}
	up := websocket.Upgrader{
		CheckOrigin: origin, ReadBufferSize: 512, WriteBufferSize: 512, HandshakeTimeout: h.writeWait,
		EnableCompression: true, // a Message is compressed once, however many read it
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return err // Upgrade has answered
	}
	c.ws = ws
	return c.run()
}

func (h *Hub) admit(c *conn) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.over:
		return errOver
	case len(h.conns) >= maxConns:
		return errMany
	}
	h.last = (h.last + 1) % rows
	c.row = h.last
	h.conns[c] = true
	h.all.Add(1)
	return nil
}

func (h *Hub) leave(c *conn) {
	h.mu.Lock()
	delete(h.conns, c)
	h.mu.Unlock()
	h.all.Done()
}

// conn is one connection. Its run goroutine is the only one that writes.
type conn struct {
	hub *Hub
	row int
	src Source
	ws  *websocket.Conn
}

func (c *conn) run() error {
	gone := make(chan struct{})
	go c.listen(gone)
	err := c.talk(gone)
	c.ws.Close()
	<-gone
	return err
}

// listen reads what nobody has to say, because only who reads learns of a
// close or a pong.
func (c *conn) listen(gone chan<- struct{}) {
	defer close(gone)
	c.ws.SetReadLimit(readLimit)
	extend := func(string) error { return c.ws.SetReadDeadline(time.Now().Add(readWait)) }
	c.ws.SetPongHandler(extend)
	if extend("") != nil {
		return
	}
	for {
		if _, _, err := c.ws.NextReader(); err != nil {
			return
		}
	}
}

func (c *conn) talk(gone <-chan struct{}) error {
	beat, ping := time.NewTicker(beatEach), time.NewTicker(pingEach)
	defer beat.Stop()
	defer ping.Stop()
	for {
		// Asked for before Next, so that what happens during it is not missed.
		news, wake := c.hub.next(c.row)
		m, err := c.src.Next(wake)
		if err != nil {
			return c.bye(websocket.ClosePolicyViolation, err)
		}
		if m != nil {
			if err := c.write(m); err != nil {
				return err
			}
			beat.Reset(beatEach)
		}
		for waiting := true; waiting; {
			select {
			case <-news:
				waiting = false
			case <-beat.C:
				m, err := c.src.Beat()
				if err != nil {
					return c.bye(websocket.CloseInternalServerErr, err)
				}
				if err := c.write(m); err != nil {
					return err
				}
			case <-ping.C:
				if err := c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(c.hub.writeWait)); err != nil {
					return fmt.Errorf("live: ping: %w", err)
				}
			case <-gone:
				return nil
			case <-c.hub.ended:
				return c.bye(websocket.CloseGoingAway, errOver)
			}
		}
	}
}

func (c *conn) write(m *Message) error {
	if err := c.ws.SetWriteDeadline(time.Now().Add(c.hub.writeWait)); err != nil {
		return fmt.Errorf("live: %w", err)
	}
	if err := c.ws.WritePreparedMessage(m.prepared); err != nil {
		return fmt.Errorf("live: the other end left, or took nothing for %s: %w", c.hub.writeWait, err)
	}
	return nil
}

// bye tells the other end why, if it still listens.
func (c *conn) bye(code int, why error) error {
	frame := websocket.FormatCloseMessage(code, why.Error())
	if err := c.ws.WriteControl(websocket.CloseMessage, frame, time.Now().Add(c.hub.writeWait)); err != nil {
		return fmt.Errorf("live: close: %w", err)
	}
	if errors.Is(why, errOver) {
		return nil
	}
	return why
}
