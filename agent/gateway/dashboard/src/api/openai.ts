/** OpenAI's chat shapes, as far as the page speaks them. */

export interface ChatMessage {
  role: "user" | "assistant";
  content: string;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
}

/** One event of a stream: new text, the end, what it took, or why there will be no more. */
export interface ChatChunk {
  choices?: { delta: { content?: string }; finish_reason: "stop" | "length" | null }[];
  usage?: Usage;
  error?: OpenAiError;
}

export interface OpenAiError {
  message: string;
  type: string;
  code: string | null;
}

export interface ModelList {
  data: { id: string }[];
}
