import assert from "node:assert/strict";
import test from "node:test";
import { fromResponse } from "./problem";

const answer = (status: number, body: string, headers: Record<string, string> = {}) =>
  fromResponse(new Response(body, { status, headers }));

test("a problem is told by its title and its detail", async () => {
  const body = JSON.stringify({
    type: "/problems/conflict",
    title: "Not possible now",
    status: 409,
    detail: "busy",
  });
  const problem = await answer(409, body);
  assert.deepEqual([problem.title, problem.detail, problem.status], ["Not possible now", "busy", 409]);
  assert.equal(problem.isPassing, false);
});

test("OpenAI's shape is told in the same words", async () => {
  const error = { message: "the queue is full", type: "server_error", param: null, code: "engine_busy" };
  const problem = await answer(503, JSON.stringify({ error }), { "Retry-After": "7" });
  assert.deepEqual([problem.title, problem.detail], ["Engine busy", "the queue is full"]);
  assert.equal(problem.retryAfter, 7);
  assert.equal(problem.isPassing, true);
});

test("an answer in no known shape is told by its status", async () => {
  for (const body of ["<html>", "", "null", '{"title": 3, "detail": "x"}', '{"error": "x"}']) {
    assert.equal((await answer(500, body)).title, "HTTP 500", body);
  }
  assert.equal((await answer(429, "", { "Retry-After": "soon" })).retryAfter, null);
});
