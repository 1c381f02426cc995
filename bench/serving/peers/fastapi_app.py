# SPDX-License-Identifier: Apache-2.0
"""FastAPI on uvicorn: reads the JSON and sends it back; no model at all. fastapi_app.py PORT"""

import sys

import uvicorn
from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/predict")
async def predict(request: Request):
    return await request.json()


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning", access_log=False)
